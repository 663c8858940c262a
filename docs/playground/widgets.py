"""What the worker of a page of theory asks for: the studies' small experiments, told as JSON."""
import json

import nobackprop as nb
from nobackprop.experiments.results import strict
from nobackprop.studies import illustrations


def illustrate(name, text):
    """The numbers of one experiment."""
    found = getattr(illustrations, name)(**json.loads(text)) | {"version": nb.__version__}
    return json.dumps(strict(found), allow_nan=False)
