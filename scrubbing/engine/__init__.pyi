from .cost import Cost as Cost
from .demand import fixed as fixed
from .engine import Compiled as Compiled
from .engine import Engine as Engine
from .machine import Machine as Machine
from .measuring import machine_of as machine_of
from .plan import ScrubPlan as ScrubPlan
from .values import Clean as Clean
