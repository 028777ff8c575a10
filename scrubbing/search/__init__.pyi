from .features import features_of as features_of
from .search import Found as Found
from .search import search as search
