"""Every case, as one table."""

from tests.faults.again import AGAIN
from tests.faults.bad_files import BAD_FILES
from tests.faults.disks import DISKS
from tests.faults.hostile import HOSTILE
from tests.faults.names import NAMES
from tests.faults.runner import Case
from tests.faults.stops import STOPS

CASES: tuple[Case, ...] = (*BAD_FILES, *NAMES, *HOSTILE, *DISKS, *STOPS, *AGAIN)
