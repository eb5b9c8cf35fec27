"""x"""
from fnets.nn.losses import *
from fnets.nn.activations import *
from fnets.nn.rows import *
