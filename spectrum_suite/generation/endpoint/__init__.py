"""A model behind an OpenAI-compatible completions server, as a scorer and a sampler.

Options are scored by sending prompt and option together and reading back the log-probabilities of the option's tokens
(``echo`` with ``logprobs``, nothing generated). Both are sent as token ids, tokenized as everywhere in this project:
the prompt with BOS once, the option apart. So no server can add a second BOS or move the boundary, and the option's
tokens are the last ones, whatever ``text_offset`` says (servers count special tokens and parts of a character in it
each in their own way).

vLLM does both. llama.cpp's server refuses ``echo``, SGLang says that its ``echo`` does not go with ``logprobs``, and
`transformers serve` has neither nor ``n``; a server that gives no log-probabilities of a prompt is told to the user,
never scored as 0. llama.cpp and SGLang can be sampled from.
"""
