import re

import numpy as np
import pytest

from dataset_builder.sources.babynames import ALL_YEARS, BABYNAMES, TASKS, Setting, read_pools
from spectrum_suite.errors import UserError

[TASK] = TASKS
GIRLS_1999 = ["Adaline", "Berit", "Cosima", "Dagny", "Elowen", "Fenna", "Robin"]
BOYS_1999 = ["Alaric", "Robin", "Corvin", "Dorian", "Evander", "Falk"]


def outputs(example):
    return [draw.output for draw in example.draws]


def settings(processes):
    """(sex, year, length, rule) -> the examples of that setting."""
    found = {}
    for process, example in processes.items():
        found.setdefault(tuple(process.split("-")[1:]), []).append(example)
    return found


def test_files_without_a_header_keep_their_first_row(fixture_files):
    names, counts = read_pools(fixture_files(BABYNAMES))[1999, "F"]
    assert names == GIRLS_1999  # Dagny and Elowen are as frequent
    assert counts.tolist() == [700, 600, 500, 300, 300, 20, 10]


def test_all_years_add_up_and_years_after_2023_are_left_out(fixture_files):
    pools = read_pools(fixture_files(BABYNAMES))
    assert set(pools) == {(year, sex) for year in (ALL_YEARS, 1999, 2001) for sex in "FM"}
    names, counts = pools[ALL_YEARS, "M"]
    assert names == ["Alaric", "Robin", "Corvin", "Dorian", "Evander", "Hauke", "Falk"]
    assert counts.tolist() == [1900, 400, 300, 200, 100, 60, 50]


def test_500_processes_have_settings_of_their_own(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(BABYNAMES)))
    assert len(processes) == 500
    assert not dropped
    parts = list(zip(*(process.split("-")[1:] for process in processes), strict=True))
    assert [set(part) for part in parts] == [
        {"balanced", "M", "F"},
        {"all", "2001", "1999"},
        {"10", "100", "1000", "5000"},
        {"uniform", "population"},
    ]
    assert len(settings(processes)) > 60  # of 3 * 3 * 4 * 2
    # Periods have the weights 3, 2 and 1 of 6.
    assert [parts[1].count(period) / 500 for period in ("all", "2001", "1999")] == pytest.approx(
        [1 / 2, 1 / 3, 1 / 6], abs=0.06
    )


def test_the_uniform_rule_lists_the_most_frequent_names(fixture_files, split):
    found = settings(split(TASK.read(fixture_files(BABYNAMES)))[0])
    assert outputs(found["F", "1999", "10", "uniform"][0]) == GIRLS_1999
    # Five of each sex; Robin is among the five of boys only.
    assert outputs(found["balanced", "1999", "10", "uniform"][0]) == [*GIRLS_1999[:5], *BOYS_1999[:5]]
    # A name that both sexes have comes once.
    assert sorted(outputs(found["balanced", "1999", "100", "population"][0])) == sorted({*GIRLS_1999, *BOYS_1999})


def test_the_population_rule_draws_in_proportion_to_the_counts():
    pools = {(1999, "F"): (["Often", "Seldom", "Rare"], np.array([75, 20, 5]))}
    setting = Setting("F", "population", 2, 1999)
    lists = [setting.names(pools, np.random.default_rng(seed)) for seed in range(4000)]
    firsts = [names[0] for names in lists]
    assert [firsts.count(name) / 4000 for name in ("Often", "Seldom", "Rare")] == pytest.approx(
        [0.75, 0.2, 0.05], abs=0.02
    )
    # Once Often is gone, Seldom is four times as likely as Rare.
    seconds = [names[1] for names in lists if names[0] == "Often"]
    assert seconds.count("Seldom") / len(seconds) == pytest.approx(0.8, abs=0.02)
    assert {len(set(names)) for names in lists} == {2}


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        (Setting("F", "uniform", 10, 1999), ["7 most frequent", "girls", "in 1999", "as likely as any"]),
        (Setting("M", "population", 10, ALL_YEARS), ["7 first", "boys", "from 1999 to 2001 (2 years)", "proportion"]),
        (Setting("balanced", "uniform", 100, 2001), ["7 most", "children", "in 2001", "Up to 50 are names of girls"]),
    ],
)  # fmt: skip
def test_the_description_states_length_sex_period_and_rule(setting, parts):
    texts = setting.descriptions(7, [1999, 2001])
    assert len(set(texts)) == 2
    for part in parts:
        assert part in texts[0]
    for text in texts:
        assert "7" in text
        assert ("proportion" in text or "likelier" in text) == (setting.rule == "population")


def test_the_description_counts_the_names_of_the_list(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(BABYNAMES)))
    for example in processes.values():
        for text in example.descriptions:
            assert int(re.search(r"\d+", text)[0]) == len(example.draws)


def test_the_files_alone_decide(fixture_files):
    assert list(TASK.read(fixture_files(BABYNAMES))) == list(TASK.read(fixture_files(BABYNAMES)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Adaline,F,700\nBerit,F,many\nAlaric,M,900\n", "row 2: column 'count' holds 'many'"),
        ("Adaline,F,700\nBerit,F\n", "row 2: it has 2 fields where 3 are expected"),
        ("name,sex,count\nAdaline,F,700\nAlaric,M,9\n", "row 1: column 'count' holds 'count'"),
        ("Adaline,F,700\nAlaric,X,900\n", "row 2: it needs a name"),
        ("Adaline,F,700\nBerit,F,0\nAlaric,M,900\n", "row 2: it needs a name"),
        ("Adaline,F,700\n,F,600\nAlaric,M,900\n", "row 2: it needs a name"),
        ("Adaline,F,700\nAdaline,F,600\nAlaric,M,900\n", "row 2: it needs a name, new for its sex"),
        ("Adaline,F,700\nBerit,F,600\n", "row 2: the file ends before the names of boys"),
        ("", "yob1999.txt"),
        (b"Ad\xe9line,F,700\nAlaric,M,900\n", "yob1999.txt"),
    ],
)
def test_a_damaged_file_is_named(damaged_files, content, message):
    files = damaged_files(BABYNAMES)
    files["yob1999.txt"].write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"yob1999\.txt") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_real_rows(real_files, split):
    files = real_files(BABYNAMES)
    rows = {name: path.read_text().splitlines() for name, path in files.items()}
    assert sum(map(len, rows.values())) >= 33_942
    pools = read_pools(files)
    for name, lines in rows.items():
        if (year := int(name[3:7])) <= 2023:
            assert pools[year, "F"][0][0] == lines[0].split(",")[0]  # Mary in 1880, Olivia in 2023
            assert len(pools[year, "F"][0]) + len(pools[year, "M"][0]) == len(lines)
    processes, _ = split(TASK.read(files))
    assert len(processes) == 500
    assert len(settings(processes)) > 200
