"""Looking at one query: what it asks for, its positive, its ladder; as data, as text and as a picture."""

from mrbench.show.describe import describe
from mrbench.show.find import show

__all__ = ["describe", "show"]
