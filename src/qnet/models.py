"""QuasarNET's module `models`: the network and its loss, in Keras."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "qnet.model", submod_attrs={"keras_network": ["QuasarNET", "custom_loss"]}
)
