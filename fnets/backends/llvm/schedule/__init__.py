"""Which equations run natively, in one call, in one loop nest, in which parts, and where their memory is."""
