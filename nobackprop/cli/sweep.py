"""`nobackprop sweep` tries many settings, chooses the best one of each rule, and runs it again on fresh seeds."""
from __future__ import annotations

import argparse

from ..errors import InputError
from .options import Parser, count, data_options
from .output import say

SUMMARY = "try many settings, choose the best of each rule by validation accuracy, and run it on fresh seeds"
