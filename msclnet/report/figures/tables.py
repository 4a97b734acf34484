"""The rows of the tables that explain.py writes and figures of single images are drawn from."""

from __future__ import annotations

from typing import NamedTuple

TOP = 10  # images of a list


class RankedImage(NamedTuple):
    """One image of a ranked list; ``position`` 0 is the query itself, whose cosine is 1."""

    method: str
    setting: str  # of the comparison, e.g. visible-to-infrared
    group: str  # best, worst or random
    query: int  # the query's number in its group, from 1
    average_precision: float  # of the whole list, in percent
    position: int
    path: str
    modality: str
    identity: int
    camera: int
    similarity: float  # cosine of the image and the query
    match: int  # 1: the query's identity


class ActivationCell(NamedTuple):
    """One cell of a map over the last feature map's rows and columns."""

    method: str
    identity: int
    modality: str
    path: str
    similarity: float  # cosine of the two images
    row: int
    column: int
    activation: float  # in [0, 1], of the image's largest
