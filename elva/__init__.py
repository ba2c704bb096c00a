"""ELVA: ranking-driven training of generative embedding models, after arXiv 2606.20280.

``config`` says what to do, ``data`` what to learn from, ``model`` wraps a Qwen2-VL kind of model, ``stages`` are the
steps of training and ``engine`` runs them. The package imports :mod:`mrbench`, which never imports it: ``elva`` joins
the command line and the zoo through entry points.
"""
