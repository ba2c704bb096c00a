"""The site: pages that open from a folder or any server, and ask for nothing from the network.

``view`` gathers what the pages show, ``pages`` renders them through templates, ``plots`` lays out their figures.
``explorer`` and ``pictures`` write the queries of a benchmark with what each model found, ``differences`` the
comparisons of models. The data are scripts that call one function, since a page from ``file://`` may not fetch.
"""
