from .judge import Gate as Gate
from .policy import Policy as Policy
from .policy import Rule as Rule
from .policy import load_policy as load_policy
from .run import Runner as Runner
from .snapshots import Snapshot as Snapshot
