"""What we use of cloudpickle."""

import pickle

class Pickler(pickle.Pickler): ...
