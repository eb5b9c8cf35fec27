"""LLVM's language: functions and vectors as text, register tiles, functions such as exp, primitives in terms of vectors."""
