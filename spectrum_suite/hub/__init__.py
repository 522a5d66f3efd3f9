"""Cards, and the only code that writes to a Hub.

What is published of each kind: ``dataset``, ``metric``, ``model``, ``space`` and ``rule_adapter_repo``, with the cards
in ``cards``, ``results`` and ``terms``, and checks of what is sent in ``local_files``, ``report_shapes``, ``weights``,
``secret_scan`` and ``fit_names``. How a push is planned: ``push_plan`` and ``card_merge``. How it is sent: ``publish``
and ``connection``. How it is verified: ``verify``, with the scripts in ``clean_cache/``.
"""
