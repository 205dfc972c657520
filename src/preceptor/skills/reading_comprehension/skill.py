"""What reading comprehension has in code: questions on tables, answer first, and a second way to their answers."""

from preceptor.skills.reading_comprehension.table_check import table_gives_it
from preceptor.skills.reading_comprehension.tables import BUILDERS

__all__ = ["BUILDERS", "CHECKS"]

CHECKS = (table_gives_it,)
