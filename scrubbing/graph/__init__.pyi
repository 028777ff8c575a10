from .configs import config_graph as config_graph
from .model_graph import ModelGraph as ModelGraph
from .model_graph import Slot as Slot
from .model_graph import transformer_graph as transformer_graph
from .nodes import Node as Node
from .positions import Positions as Positions
from .positions import PositionsLike as PositionsLike
from .positions import Where as Where
