"""Where what an image shows comes from: what each layer does to a path, and what is shipped without being shown.

Owns the comparison of layers with one another. Whiteouts and opaque directories the layers decode themselves; nothing
here is about uppers, whose redirects and metadata-only files no image has. Layers are numbered from 0, the lowest.
"""

from unionfs.provenance.columns import Loss, open_stack
from unionfs.provenance.waste import Hidden, Waste, measure_waste
from unionfs.provenance.why import Action, Step, trace

__all__ = ["Action", "Hidden", "Loss", "Step", "Waste", "measure_waste", "open_stack", "trace"]
