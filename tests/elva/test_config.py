import pytest
import yaml
from small_recipe import SMALL

from elva.config import RECIPES, load_recipe, parse_recipe
from mrbench.errors import InputError


def changed(**changes):
    """The small recipe with fields named by dots set."""
    recipe = yaml.safe_load(yaml.safe_dump(SMALL))
    for path, value in changes.items():
        *outer, name = path.split("__")
        target = recipe
        for part in outer:
            target = target.setdefault(part, {})
        target[name] = value
    return {name: value for name, value in recipe.items() if value is not ...}


def test_the_recipes_of_the_package_are_sound():
    for name in RECIPES:
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.stages()[-1] == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stage2__lr": float("nan")}, "stage2.lr=nan"),
        ({"stage2__lr": float("inf")}, r"stage2.lr=inf \(accepted: a finite number"),
        ({"stage2__lr": "1e999"}, "stage2.lr=inf"),
        ({"stage2__lr": "fast"}, "stage2.lr='fast'"),
        ({"stage2__lr": 10**400}, "stage2.lr=1000"),
        ({"stage2__lr": 10**5000}, "stage2.lr=a very long number"),
        ({"stage2__lr": True}, "stage2.lr=True"),
        ({"stage2__batch": 10**30}, "stage2.batch=1000"),
        ({"stage2__batch": 2.5}, r"stage2.batch=2.5 \(accepted: a whole number"),
        ({"stage2__lr": 1e300}, r"stage2.lr=1e\+300 \(accepted: 0 to 10"),
        ({"name": "\ud800"}, "name=.* Unicode"),
        ({"stage3__rollouts": 1}, "stage3.rollouts=1"),
        ({"seed": -1}, r"seed=-1 \(accepted: 0 to 2147483647\)"),
        ({"stage3__beta": -0.1}, "stage3.beta=-0.1"),
        ({"stage3__gradient": ["score"]}, "accepted: score, pathwise, both"),
        ({"lora": [1]}, "lora: not a mapping"),
        ({"stage3__reward": {"alhpa": 1}}, "stage3.reward.alhpa: unknown"),
        ({"base": "B"}, "exactly one of them"),
        ({"architecture__heads": 3}, "no multiple of 4"),
        ({"architecture__patch": 64}, "less than patch"),
        ({"dtype": "bfloat16"}, r"dtype='bfloat16' \(accepted with an architecture: float32"),
        ({"stage3__sampling": {"hard": 0, "random": 0}}, r"stage3.sampling: hard \+ random is 0"),
        ({"stage2__sampling": {"hard": 4, "random": 4, "pool": 6}}, "stage2.sampling.pool=6"),
        ({"stage3__reward": {"alpha": 0, "epsilon": 0}}, "no part has a weight"),
        ({"stage3__train": "language"}, "stage3.beta"),
        ({"architecture": ..., "base": "B"}, r"stage0.train='all' \(accepted with a base: lora"),
        ({"prompt__template": "{image}{text}"}, "prompt.template"),
        ({"prompt__template": "{image}{text}{ask}{imgae}"}, "prompt.template"),
        ({"prompt__template": "{image}{image}{text}{ask}"}, "prompt.template"),
    ],
)
def test_what_no_run_could_do_is_said_at_once(changes, said):
    with pytest.raises(InputError, match=said):
        parse_recipe(changed(**changes))


def test_all_problems_stand_in_one_line():
    with pytest.raises(InputError) as error:
        parse_recipe(changed(seed=-1, stage2__batch=0, sede=1))
    assert all(name in str(error.value) for name in ("seed=-1", "stage2.batch=0", "sede: unknown"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"[1]", b"a: [", b"name: \xff", b"name: 2020-13-45", b"[" * 3000, b"a: 1\na: 2\n", b"a: {b: 1, b: 2}"],
)
def test_what_is_no_recipe(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        load_recipe(str(path))


def test_yaml_runs_nothing(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f'!!python/object/apply:os.mkdir ["{tmp_path / "made"}"]')
    with pytest.raises(InputError, match="not YAML"):
        load_recipe(str(path))
    assert not (tmp_path / "made").exists()
