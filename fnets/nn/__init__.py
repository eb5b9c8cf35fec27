from fnets.nn.losses import *
