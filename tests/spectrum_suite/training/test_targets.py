"""Rows with a target: the exact cross-entropy over the trie of the options, to which the mean over draws tends."""

import copy
import math

import numpy as np
import pytest
import torch
from datasets import Dataset, concatenate_datasets

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.training.adaptation import AdaptationConfig, load_model
from spectrum_suite.training.arguments import TuningConfig, for_our_collator
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.counts import RunCounts
from spectrum_suite.training.draw_tree import ROOT, DrawTree
from spectrum_suite.training.option_terms import OptionTerms, option_terms
from spectrum_suite.training.targets import target_weights, tokenize_targets, trie_size, with_no_target
from spectrum_suite.training.tokens import turn_token_ids
from spectrum_suite.training.trainer import SpectrumTrainer
from tests.written_rows import pieces

DRAWS = 10.0


def target_row(number, options, probabilities, *, examples=(), described=True, given="Draw one.", answers=None):
    messages = [{"role": "description", "content": f"An urn, number {number}."}] if described else []
    for example in examples:
        messages += [{"role": "input", "content": given}, {"role": "output", "content": example}]
    messages += [{"role": "input", "content": given}]
    return {
        "id": f"target{number}",
        "messages": messages,
        "options": list(options),
        "probabilities": list(probabilities),
        "n_responses": answers,
    }


PREFIXES = target_row(0, ["1", "10", "100", "2"], [0.4, 0.3, 0.1, 0.2])
SINGLE = target_row(1, ["only this"], [1.0])
MANY = target_row(2, [f"{n} balls of {n * n}" for n in range(50)], np.arange(1, 51) / 1275)
WITH_ZERO = target_row(3, ["red", "never", "dark red"], [0.75, 0.0, 0.25])
EXAMPLES = target_row(4, ["red", "blue"], [0.9, 0.1], examples=["red", "red", "blue", "red"])
SEEN = target_row(5, ["yes", "no"], [1.0, 0.0], answers=4)
ROWS = [PREFIXES, SINGLE, MANY, WITH_ZERO, EXAMPLES, SEEN]


@pytest.fixture(scope="module")
def text_format(chatml):
    return get_format("spectrum", chatml)


@pytest.fixture
def targets(chatml, text_format):
    """``targets(rows)``: tokenized rows with a target, as dicts."""

    def make(rows, max_length=500, **options):
        options = {"draws": DRAWS} | options
        return tokenize_targets(Dataset.from_list(rows), chatml, text_format, max_length=max_length, **options)[0]

    return make


@pytest.fixture
def collate(chatml, text_format):
    def make(**options):
        options = {"max_length": 500, "targets": True, "description_dropout": 0.0} | options
        return SpectrumCollator.for_format(text_format, chatml, **options)

    return make


@pytest.fixture
def trainer_of(chatml, text_format, tiny_model, tmp_path):
    """``trainer_of(architecture, rows, collator)``: with a tiny adapted model."""

    def make(architecture, rows, collator, **options):
        folder = tmp_path / architecture
        if not folder.is_dir():
            tiny_model(architecture).save_pretrained(folder)
        torch.manual_seed(3)
        adaptation = AdaptationConfig(lora_r=4, lora_alpha=8, lora_dropout=0.0, dtype="float32", load_in_4bit=False)
        settings = {
            "output_dir": str(tmp_path / "out"), "report_to": "none", "use_cpu": True, "bf16": False,
            "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True, "learning_rate": 1e-2,
            "per_device_train_batch_size": 8, "max_grad_norm": 0.0, "lr_scheduler_type": "constant",
        }  # fmt: skip
        return SpectrumTrainer(
            model=load_model(str(folder), adaptation, turn_token_ids(chatml, text_format)),
            args=for_our_collator(TuningConfig(**settings | options)),
            data_collator=collator,
            train_dataset=rows,
            processing_class=chatml,
        )

    return make


def gradients(model, loss):
    found = torch.autograd.grad(loss, [value for value in model.parameters() if value.requires_grad])
    return torch.cat([each.flatten() for each in found])


def by_the_book(model, encode, text_format, row, weights):
    """The weighted mean of minus log-probabilities of whole options, each alone in a plain pass, and its weight."""
    nats, mass = 0.0, 0.0
    prompt = text_format.prompt(row["messages"])
    before = [text for text, _ in pieces(text_format, row["messages"][:-1])]
    before.append(prompt[len("".join(before)) :])
    context = [token for text in before for token in encode([text])[text]]
    for option, weight in zip(row["options"], weights, strict=True):
        text = text_format.output(option)
        ids = encode([text])[text]
        logits = model(input_ids=torch.tensor([context + ids])).logits[0, len(context) - 1 : -1].float()
        found = -logits.log_softmax(-1)[range(len(ids)), ids].sum()
        nats, mass = nats + weight * found, mass + weight * len(ids)
    return nats, mass


@pytest.mark.parametrize("architecture", ["gemma3", "llama"])
@pytest.mark.parametrize("plain", [True, False], ids=["from states", "from logits"])
def test_loss_and_gradient_are_those_of_whole_options(
    architecture, plain, trainer_of, targets, collate, chatml, text_format
):
    tokenized = targets(ROWS)
    trainer = trainer_of(architecture, tokenized, collate())
    model = trainer.model.eval()
    trainer._logits_are_plain = plain
    encode = token_encoder(chatml, text_format)
    nats = mass = 0.0
    for row in ROWS:
        shown = row | {"messages": in_collated_order(row, collate(), tokenized)}
        found = by_the_book(model, encode, text_format, shown, target_weights(row, draws=DRAWS))
        nats, mass = nats + found[0], mass + found[1]
    batch = trainer.data_collator(list(tokenized))
    assert batch["weights"].sum().item() == pytest.approx(mass)
    loss = trainer.compute_loss(model, dict(batch))
    assert loss.item() == pytest.approx((nats / mass).item(), rel=1e-5)
    expected = gradients(model, nats / mass)
    torch.testing.assert_close(gradients(model, loss), expected, rtol=1e-3, atol=1e-6)


def in_collated_order(row, collator, tokenized):
    """The messages with their examples in the order in which the collator shows them."""
    (place,) = (each for each in tokenized if each["id"] == row["id"])
    order = collator._choices(place)[0]
    head, *rest = row["messages"]
    return [head, *(message for index in order for message in rest[2 * index : 2 * index + 2]), rest[-1]]


def test_the_loss_is_that_of_many_draws(trainer_of, targets, collate):
    """200,000 draws from the target, each option once with its count as weight: the gradient is nearly the same."""
    rows, rng = [PREFIXES, MANY, WITH_ZERO], np.random.default_rng(0)
    drawn = []
    for row in rows:
        counts = np.bincount(
            rng.choice(len(row["options"]), size=200_000, p=row["probabilities"]), minlength=len(row["options"])
        )
        drawn.append(row | {"probabilities": (counts / 200_000).tolist()})
    trainer = trainer_of("gemma3", targets(rows), collate())
    model = trainer.model.eval()
    batches = [trainer.data_collator(list(targets(some))) for some in (rows, drawn)]
    exact, sampled = (gradients(model, trainer.compute_loss(model, dict(batch))) for batch in batches)
    assert (exact - sampled).norm() < 0.01 * exact.norm()
    few = [row | {"probabilities": np.eye(len(row["options"]))[0].tolist()} for row in rows]
    other = gradients(model, trainer.compute_loss(model, dict(trainer.data_collator(list(targets(few))))))
    assert (exact - other).norm() > 0.1 * exact.norm()


def test_a_target_is_as_many_draws_in_a_tree_of_draws(trainer_of, targets, collate, chatml, text_format):
    """Shares of ten draws beside the very ten draws in branches of their own."""
    options, counts = ["1", "10", "2"], [5, 3, 2]
    row = target_row(0, options, [count / 10 for count in counts])
    (tokenized,) = targets([row])
    (context,) = tokenized["contexts"]
    outputs = [ids for ids, count in zip(tokenized["options"], counts, strict=True) for _ in range(count)]
    drawn = tokenized | {"contexts": [context] * 10, "outputs": outputs, "options": [], "weights": []}
    trainer = trainer_of("llama", targets([row]), collate(branching=1.0))
    model, collator = trainer.model.eval(), trainer.data_collator
    of_target, of_draws = collator([tokenized]), collator([drawn])
    assert of_target["input_ids"].shape == of_draws["input_ids"].shape
    assert of_target["weights"].sum() == of_draws["weights"].sum() == (of_draws["labels"] != IGNORED).sum()
    losses = [trainer.compute_loss(model, dict(batch), num_items_in_batch=7.0) for batch in (of_target, of_draws)]
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*(gradients(model, loss) for loss in losses), rtol=1e-3, atol=1e-6)


def test_finite_differences(trainer_of, targets, collate):
    trainer = trainer_of("llama", targets(ROWS), collate())
    model = trainer.model.double().eval()
    trainer._logits_are_plain = False
    batch = trainer.data_collator(list(targets(ROWS)))
    parameters = [value for value in model.parameters() if value.requires_grad]
    loss = trainer.compute_loss(model, dict(batch))
    gradients = torch.autograd.grad(loss, parameters)
    torch.manual_seed(1)
    directions = [torch.rand_like(each) * each.sign() for each in gradients]  # all uphill: the loss is in float32
    slope = sum((grad * way).sum() for grad, way in zip(gradients, directions, strict=True))
    step, ends = 1e-4, []
    for sign in (1, -1):
        with torch.no_grad():
            for value, way in zip(parameters, directions, strict=True):
                value.add_(sign * step * way)
            ends.append(trainer.compute_loss(model, dict(batch)).item())
            for value, way in zip(parameters, directions, strict=True):
                value.sub_(sign * step * way)
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope.item(), rel=1e-3)


def test_a_trie_has_each_option_once_and_masses_on_its_steps():
    tree = DrawTree()
    end = tree.extend(ROOT, [7, 8])
    tree.add_options(end, [[1, 9], [1, 0, 9], [2, 9], [3, 9]], [0.5, 0.25, 0.25, 0.0])
    assert tree.ids == [7, 8, 1, 0, 2]
    assert tree.parents == [-1, 0, 1, 2, 1]
    steps = dict(zip(zip(tree.sources, tree.targets, strict=True), tree.weights, strict=True))
    assert steps == {(1, 1): 0.75, (2, 9): 0.5, (2, 0): 0.25, (3, 9): 0.25, (1, 2): 0.25, (4, 9): 0.25}
    assert trie_size([[1, 9], [1, 0, 9], [2, 9], [3, 9]], [0.5, 0.25, 0.25, 0.0]) == 3
    assert tree.trained_outputs == 3


def test_weights_are_numbers_of_draws():
    assert target_weights(PREFIXES, draws=32) == pytest.approx([12.8, 9.6, 3.2, 6.4])
    assert target_weights(SEEN, draws=32) == [4.0, 0.0]  # four answers count as four draws
    assert target_weights(SEEN | {"n_responses": 4000}, draws=32) == [32.0, 0.0]
    assert target_weights(SEEN, draws=32, smoothing=1.0) == pytest.approx([4 * 5 / 6, 4 * 1 / 6])
    assert target_weights(PREFIXES, draws=32, smoothing=1.0) == target_weights(PREFIXES, draws=32)
    assert sum(target_weights(PREFIXES | {"probabilities": [0.33, 0.33, 0.33, 0.0]}, draws=1)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"probabilities": [0.5, 0.5]}, "'target0' has 4 options but 2 probabilities"),
        ({"probabilities": [0.5, 0.5, 0.5, 0.5]}, "sum to 2, not to 1"),
        ({"probabilities": [1.2, -0.2, 0.0, 0.0]}, "not a number of at least 0"),
        ({"probabilities": [math.nan, 0.5, 0.5, 0.0]}, "not a number of at least 0"),
        ({"options": ["1", "1", "2", "3"]}, "no options or one of them twice"),
        ({"options": []}, "no options or one of them twice"),
        ({"n_responses": 0}, "n_responses 0"),
    ],
)
def test_what_is_not_a_distribution_is_refused(change, line):
    with pytest.raises(UserError, match=line):
        target_weights(PREFIXES | change, draws=1)


def test_rows_that_do_not_fit_are_left_out_as_a_whole(chatml, text_format, caplog):
    rows = Dataset.from_list([PREFIXES, MANY])
    kept, too_long = tokenize_targets(rows, chatml, text_format, max_length=60, draws=1)
    assert (kept["id"][:], too_long) == (["target0"], 1)
    assert "1 rows with a target do not fit into 60 tokens" in caplog.text
    with pytest.raises(UserError, match="no row with a target fits into 3 tokens: raise --max_length"):
        tokenize_targets(rows, chatml, text_format, max_length=3, draws=1)


def test_examples_stand_before_a_target_as_many_as_fit(targets, collate, chatml):
    (row,) = targets([EXAMPLES])
    whole = collate().tree(row)
    text = chatml.decode(whole.text(whole.sources[0]))
    assert text.count("red") == 3
    assert text.count("blue") == 1
    assert text.endswith("<|im_start|>output\n")
    example = len(row["contexts"][0]) + len(row["outputs"][0]) + len(collate().separator)
    shorter = collate(max_length=len(whole.ids) - 1).tree(row)
    assert len(whole.ids) - example - 2 <= len(shorter.ids) < len(whole.ids)
    assert shorter.weights == whole.weights
    orders = {tuple(collate(seed=seed).tree(row).ids) for seed in range(20)}
    assert len(orders) > 1


def test_descriptions_are_dropped_only_where_examples_tell(targets, collate):
    with_examples, without = targets([EXAMPLES, PREFIXES])
    dropping = collate(description_dropout=1.0)
    assert len(dropping.tree(with_examples).ids) < len(collate().tree(with_examples).ids)
    assert dropping.tree(without) == collate().tree(without)
    short = collate(description_dropout=1.0, max_length=len(collate().tree(without).ids))
    assert short.tree(without) == collate().tree(without)


def test_a_row_is_no_larger_than_its_tree_of_draws(targets, collate):
    """32 draws in branches of their own, each option among them."""
    for row in targets([PREFIXES, MANY]):
        count = max(32, len(row["options"]))
        outputs = (row["options"] * count)[:count]
        drawn = row | {"contexts": row["contexts"] * count, "outputs": outputs, "options": [], "weights": []}
        tree, of_draws = collate().tree(row), collate(branching=1.0).tree(drawn)
        assert len(tree.ids) == len(of_draws.ids)
        assert len(tree.targets) < len(of_draws.targets)


def mixed(tokenized_rows, targets):
    rows = targets([row for row in ROWS if row is not MANY] * 2, first=len(tokenized_rows))
    return concatenate_datasets([with_no_target(tokenized_rows), rows])


def test_a_mixed_batch_is_its_parts(tokenized_rows, targets, collate, trainer_of):
    rows = mixed(tokenized_rows, targets)
    trainer = trainer_of("gemma3", rows, collate(max_length=200))
    model, some = trainer.model.eval(), list(rows)[-14:-6]
    whole = trainer.data_collator(some)
    total = trainer.compute_loss(model, dict(whole), num_items_in_batch=1.0).item()
    parts = [trainer.data_collator([row]) for row in some]
    found = sum(trainer.compute_loss(model, dict(part), num_items_in_batch=1.0).item() for part in parts)
    assert total == pytest.approx(found, rel=1e-5)
    assert {bool(row["options"]) for row in some} == {True, False}


def test_accumulated_batches_are_one_batch_and_counts_are_right(tokenized_rows, targets, collate, trainer_of):
    rows, found = mixed(tokenized_rows, targets).select(range(10, 42)), {}
    for size, accumulate in ((8, 1), (2, 4)):
        trainer = trainer_of(
            "llama",
            rows,
            collate(max_length=200),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulate,
        )
        trainer.train()
        weights = torch.cat([value.detach().flatten() for value in trainer.model.parameters() if value.requires_grad])
        found[size] = trainer.counts.totals(), weights, [e for e in trainer.state.log_history if "loss" in e]
    apart = ~torch.isclose(found[2][1], found[8][1], rtol=1e-3, atol=1e-4)
    assert apart.float().mean() < 1e-3  # where a gradient is nearly 0, AdamW makes a step of its rounding
    for one, other in zip(found[2][2], found[8][2], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
    trees = [collate(max_length=200).tree(row) for row in rows]
    assert found[8][0]["trained_tokens"] == sum(len(tree.targets) for tree in trees)
    assert found[8][0]["seen_tokens"] == sum(len(tree.ids) for tree in trees)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"train_on": "all"}, "--train_on all is for plain sequences: leave --objective distribution out"),
        ({"description_dropout": 2}, "--description_dropout 2 is not a probability"),
    ],
)
def test_options_that_make_no_sense_are_refused(collate, options, line):
    with pytest.raises(UserError, match=line):
        collate(**options)


def test_a_model_that_keeps_no_branches_apart_is_refused(targets, collate, trainer_of, monkeypatch):
    trainer = trainer_of("llama", targets(ROWS), collate())
    monkeypatch.setattr("spectrum_suite.layouts.tree_pass", lambda model, texts: texts.alone + 1)
    with pytest.raises(UserError, match="--objective distribution would give wrong losses with LlamaForCausalLM"):
        trainer.train()


def test_a_step_is_divided_by_the_weight_of_all_processes(targets, collate, trainer_of, monkeypatch):
    trainer = trainer_of("llama", targets(ROWS), collate())
    batches = [trainer.data_collator(list(targets(some))) for some in (ROWS[:2], ROWS[3:])]
    weight = sum(batch["weights"].sum().item() for batch in batches)
    cpu = torch.device("cpu")
    assert trainer._get_num_items_in_batch(batches, cpu).item() == pytest.approx(weight)
    monkeypatch.setattr(type(trainer.args), "world_size", 2)
    monkeypatch.setattr(trainer.accelerator, "gather", lambda value: torch.stack([value, 2 * value]))
    assert trainer._get_num_items_in_batch(batches, cpu).item() == pytest.approx(3 * weight)


def test_losses_are_means_by_weight():
    class Alone:
        device = torch.device("cpu")
        is_main_process = True

        @staticmethod
        def reduce(value, reduction):
            return value

    counts = RunCounts(["draws", "targets"], Alone())
    weights = torch.tensor([1.0, 8.0, 2.0])
    nats = torch.tensor([3.0, 0.5, 1.0]) * weights
    counts.add(nats, torch.tensor([0, 1, 1]), seen=torch.tensor(9), run=12, weights=weights)
    again = copy.deepcopy(counts)
    line = counts.line()
    assert line["loss"] == pytest.approx((3 + 4 + 2) / 11)
    assert line["loss/targets"] == pytest.approx(0.6)
    assert line["trained_tokens"] == 3
    assert again.totals()["train_loss"] == pytest.approx(9 / 11)


NUMBERS = target_row(6, ["10", "1", "2", "100"], [0.5, 0.25, 0.25, 0.0])
SCALE = target_row(7, ["never", "at times", "always"], [0.1, 0.3, 0.6]) | {"ordered": True}


def test_option_terms_are_those_of_whole_options(trainer_of, targets, collate, chatml, text_format):
    """Brier and ranked probability scores of probabilities from plain passes, beside draws that have neither."""
    rows = [row | {"ordered": row.get("ordered")} for row in (WITH_ZERO, NUMBERS, PREFIXES, SCALE)]
    terms = OptionTerms(brier=0.7, rps=1.3)
    tokenized = targets(rows, every_option=True)
    trainer = trainer_of("gemma3", tokenized, collate(terms=terms))
    model, encode = trainer.model.eval(), token_encoder(chatml, text_format)
    expected = 0.0
    for row in rows:
        scores = [
            -by_the_book(model, encode, text_format, row, [float(option == each) for each in row["options"]])[0]
            for option in row["options"]
        ]
        found, wanted = torch.stack(scores).softmax(0), torch.tensor(row["probabilities"])
        expected = expected + DRAWS * 0.7 * (found - wanted).square().sum()
        if row["id"] != WITH_ZERO["id"]:
            order = list(range(len(row["options"])))
            if not row["ordered"]:
                order.sort(key=lambda place: int(row["options"][place]))
            apart = (found - wanted)[order].cumsum(0)[:-1]
            expected = expected + DRAWS * 1.3 * apart.square().mean()
    batch = trainer.data_collator(list(tokenized))
    losses = [trainer.compute_loss(model, dict(batch), num_items_in_batch=1.0)]
    trainer.data_collator.terms = OptionTerms()
    losses.append(trainer.compute_loss(model, dict(batch), num_items_in_batch=1.0))
    assert (losses[0] - losses[1]).item() == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(
        gradients(model, losses[0] - losses[1]), gradients(model, expected), rtol=1e-3, atol=1e-3
    )


def test_the_gradient_of_option_terms_is_that_of_finite_differences():
    torch.manual_seed(0)
    steps = torch.tensor([[[0, 1], [0, 2], [3, -1]], [[4, -1], [5, 6], [-1, -1]]])
    draws, ordered = torch.tensor([[2.0, 3.0, 5.0], [1.0, 0.0, 0.0]]).double(), torch.tensor([True, False])
    nats = torch.rand(7, dtype=torch.float64, requires_grad=True)
    for terms in (OptionTerms(brier=1.0), OptionTerms(rps=2.0), OptionTerms(0.5, 0.5)):
        assert torch.autograd.gradcheck(
            lambda values, terms=terms: option_terms(values, steps, draws, ordered, terms), nats
        )
