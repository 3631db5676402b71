"""From rollouts to training data: collect, filter, rationalise, format (STaR, arXiv 2203.14465)."""
