from .cost import Cost as Cost
from .demand import fixed as fixed
from .engine import Compiled as Compiled
from .engine import Engine as Engine
from .plan import ScrubPlan as ScrubPlan
from .values import Clean as Clean
