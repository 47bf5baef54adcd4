"""Thirteen edits of a team on its service of v0.6.0, and how each goes on after an update."""

from helpers.team.around import AROUND
from helpers.team.code import CODE

EDITS = (*AROUND, *CODE)
