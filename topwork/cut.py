"""The grammar of cuts: ``backbone@place``, ``backbone@place..end``, ``[picture]``, and sums of them.

    cut   = term { "+" term }
    term  = backbone "@" place [ ".." end ] [ "[" picture "]" ]
    place = a layer's name | "pool" | "input" | a number n (``layers[:n]`` are frozen)

Parsing a cut does not check that its places exist: only a `topwork.networks.graph.Graph` can do that.
"""

import re
from dataclasses import dataclass

from topwork.errors import CutError

Place = str | int

POOL = "pool"
INPUT = "input"

_TERM = re.compile(r"(?P<backbone>\w+)@(?P<places>[^@+\[\]\s]+)(?:\[(?P<picture>[^\[\]]+)\])?")


@dataclass(frozen=True, slots=True)
class Term:
    """One backbone, frozen up to ``place`` and trained from there to ``end``.

    ``picture`` is the name of the dataset column that the pictures are taken from.

    >>> str(Term("inception_v3", 249))
    'inception_v3@249'
    """

    backbone: str
    place: Place
    end: Place = POOL
    picture: str | None = None

    def __str__(self) -> str:
        end = "" if self.end == POOL else f"..{self.end}"
        return f"{self.backbone}@{self.place}{end}" + (f"[{self.picture}]" if self.picture else "")


@dataclass(frozen=True, slots=True)
class Cut:
    """A sum of one or more terms, in the order in which they were written.

    >>> cut = Cut.parse("x@mixed5..mixed5 + y@pool[side]")
    >>> cut.terms[1]
    Term(backbone='y', place='pool', end='pool', picture='side')
    >>> str(cut)
    'x@mixed5..mixed5 + y@pool[side]'
    """

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms))

    @classmethod
    def parse(cls, text: str) -> "Cut":
        """Parse the text of a cut.

        Raises:
            CutError: *text* does not follow the grammar.
        """
        terms = []
        for part in map(str.strip, text.split("+")):
            match = _TERM.fullmatch(part)
            places = match["places"].split("..") if match else []
            if not match or len(places) > 2 or not all(places):
                is_name = re.fullmatch(r"\w+", part) and not part.isdecimal() and part not in (POOL, INPUT)
                name = part if is_name else "mobilenet_v2"
                raise CutError(
                    f"cannot read {part!r} in the cut {text!r}: expected BACKBONE@PLACE or BACKBONE@PLACE..END, "
                    f"as in '{name}@pool' or 'resnet50@conv4_block6_out'."
                )
            words = places if len(places) == 2 else (places[0], POOL)
            place, end = (int(word) if word.isdecimal() else word for word in words)
            terms.append(Term(match["backbone"], place, end, match["picture"]))
        return cls(tuple(terms))

    @property
    def backbones(self) -> tuple[str, ...]:
        """The names of the backbones in the cut, without repetition, in the order in which they were written.

        >>> Cut.parse("x@mixed5 + y@pool + x@mixed7").backbones
        ('x', 'y')
        """
        return tuple(dict.fromkeys(term.backbone for term in self.terms))

    @property
    def only(self) -> Term:
        """The term of a cut that has only one.

        Raises:
            CutError: the cut has several terms.
        """
        if len(self.terms) > 1:
            raise CutError(f"cannot use the sum {str(self)!r} here: one backbone and one place were expected.")
        return self.terms[0]
