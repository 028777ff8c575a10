from .contexts import Mode as Mode
from .frames import Frame as Frame
