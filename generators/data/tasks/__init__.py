"""What source and target are. A new task is a module here plus one line in TASKS."""

from generators.data.base import Task
from generators.data.tasks.colorization import Colorization
from generators.data.tasks.paired import Paired
from generators.data.tasks.photos import Photos
from generators.data.tasks.super_resolution import SuperResolution
from generators.data.tasks.unpaired import Unpaired

TASKS: dict[str, type[Task]] = {
    "paired": Paired,
    "unpaired": Unpaired,
    "colorization": Colorization,
    "super_resolution": SuperResolution,
    "photos": Photos,
}
