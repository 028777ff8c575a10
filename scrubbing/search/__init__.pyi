from .choices import Choices as Choices
from .features import features_of as features_of
from .found import Found as Found
from .found import search as search
from .relaxed import Proposal as Proposal
from .relaxed import propose as propose
from .subspaces import Directions as Directions
from .subspaces import directions as directions
