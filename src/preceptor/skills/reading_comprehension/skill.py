"""What reading comprehension builds by code: questions on tables, answer first."""

from preceptor.skills.reading_comprehension.tables import BUILDERS

__all__ = ["BUILDERS"]
