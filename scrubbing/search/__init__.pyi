from .features import features_of as features_of
