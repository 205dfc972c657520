"""Raw files into clean, split, described documents without duplicates: `read` for a Corpus, `stream` for one at a time."""

from preceptor.corpus.dedup import Known, Twin
from preceptor.corpus.read import Corpus, FileLine, read, stream
from preceptor.corpus.split import Piece, Size, split

__all__ = ["Corpus", "FileLine", "Known", "Piece", "Size", "Twin", "read", "split", "stream"]
