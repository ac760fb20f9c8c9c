"""Try settings of a training and keep those that validate best: optuna over the fields of `TrainConfig`.

    search(config, ["lr_body=log:1e-4..1e-2", "optimizer=adamw,sgd"], Path("runs/search"), trials=20)

The folder receives study.sqlite3 (to continue with), a folder a trial as `fer-space train` leaves it,
trials.csv and best.json (the config of the best trial). A trial is measured by the figure that chooses a
run's epoch, on the validation split; the test split is never opened. Trials that are behind the median of the
earlier ones at the same epoch are cut short.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from fer_space.errors import InputError, SourceError, TrainingError, WeightsError
from fer_space.evaluation.plots import read_history
from fer_space.files import write_text
from fer_space.training.config import TrainConfig, bounds_of
from fer_space.training.finish import command_of
from fer_space.training.initialise import start_of
from fer_space.training.trainer import Row, Trainer, figure_of

if TYPE_CHECKING:
    import optuna

STUDY, TABLE, BEST, CONFIG = "study.sqlite3", "trials.csv", "best.json", "search.json"
FIRST = 4  # trials that are sampled at random, and never cut short
FOLDER = "folder"  # attribute of a trial: where its run lies
ENDED = "ended"  # attribute of a trial without a figure: "diverged", or "refused" by the config
RANGE = re.compile(r"(log:)?([^.].*?)\.\.(.+)")

Value = float | int | str | bool


@dataclass(frozen=True)
class Range:
    """What one field is tried at.

    Attributes:
        name: of a field of `TrainConfig`.
        low, high: least and largest number, where it is one of a range.
        log: whether its logarithm is even over the range.
        choices: values, where it is one of several; else ().
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Read FIELD=LOW..HIGH, FIELD=log:LOW..HIGH or FIELD=A,B,C.

        Raises:
            InputError: there is no such field, or it has no such values.

        Example:
            >>> Range.parse("lr-body=log:1e-4..1e-2").high
            0.01
            >>> Range.parse("optimizer=adamw,sgd").choices
            ('adamw', 'sgd')
        """
        name, _, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in TrainConfig.model_fields or name in ("data", "seed", "processes"):
            raise InputError(f"--vary: “{name}” is no setting that can be varied.")
        kind = type(TrainConfig.model_fields[name].default)
        found = RANGE.fullmatch(values.strip())
        try:
            if found and kind in (int, float):
                low, high = (kind(number) for number in found.group(2, 3))
                if not low < high or (found[1] and low <= 0):
                    raise ValueError
                return cls(name, low, high, bool(found[1]))
            choices = tuple(_value(name, word.strip()) for word in values.split(","))
        except (KeyError, ValueError) as error:
            raise InputError(
                f"--vary: “{text}” is not of the form FIELD=LOW..HIGH, FIELD=log:LOW..HIGH or FIELD=A,B."
            ) from error
        return cls(name, choices=choices)

    def suggest(self, trial: "optuna.Trial") -> Value:
        """Let a trial choose."""
        if self.choices:
            chosen = trial.suggest_categorical(self.name, self.choices)
            assert chosen is not None  # optuna's own types allow it, ours do not
            return chosen
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.name, self.low, self.high, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def ends(self) -> tuple[Value, ...]:
        """Name the values between which all others lie, or all of them."""
        return self.choices or (self.low, self.high)


def search(
    config: TrainConfig, vary: Sequence[str], out: Path, *, trials: int, device: str = "auto"
) -> TrainConfig:
    """Run trials until there are so many, and write the table and the best config.

    A search that was cut off continues where it was: a trial that was running is taken up at its last epoch.

    Args:
        config: what all trials share; its `processes` must be 1.
        vary: what each tries, as `Range.parse` reads it.
        out: the folder of the search, made if need be.
        trials: how many there shall be in the end, those of earlier calls included.
        device: one of `fer_space.runtime.device.DEVICES`.

    Returns:
        The best config.

    Raises:
        InputError: config, ranges or data cannot be used, or the folder holds another search.
        TrainingError: no trial came to an end.
    """
    import optuna

    ranges = [Range.parse(text) for text in vary]
    _check(config, ranges)
    _open(config, vary, out)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _study(out, config.seed)
    _take_up(study)
    while _ended(study) < trials:
        trial = study.ask()
        _run(study, trial, ranges, config, out, device)
        _write_table(study, ranges, out)
    return _best(study, config, out)


def _check(config: TrainConfig, ranges: Sequence[Range]) -> None:
    if config.processes > 1:
        raise InputError("A search watches each epoch of a run of one process: leave out --processes.")
    if not ranges:
        raise InputError("Name what is tried: --vary lr-body=log:1e-4..1e-2, for example.")
    if len({each.name for each in ranges}) < len(ranges):
        raise InputError("--vary names a setting twice.")
    for each in ranges:
        low, high = bounds_of(each.name)
        numbers = [value for value in each.ends() if not isinstance(value, str)]
        if low is not None and high is not None and not all(low <= number <= high for number in numbers):
            raise InputError(f"--vary: {each.name} must lie between {low:g} and {high:g}.")


def _open(config: TrainConfig, vary: Sequence[str], out: Path) -> None:
    """Make the folder of a search, or check that it holds this one."""
    asked = {"config": config.to_dict(), "vary": list(vary)}
    path = out / CONFIG
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else asked
    except ValueError as error:
        raise InputError(f"{path} is damaged: begin the search again in another --out.") from error
    if known != asked:
        raise InputError(f"{out} holds another search; continue it with its own settings ({path.name}).")
    write_text(path, json.dumps(asked, indent=2) + "\n")


def _study(out: Path, seed: int) -> "optuna.Study":
    import optuna
    from sqlalchemy.exc import DatabaseError

    try:
        study = optuna.create_study(
            storage=f"sqlite:///{(out / STUDY).resolve()}",
            study_name="search",
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST),
        )
    except DatabaseError as error:
        raise InputError(f"{out / STUDY} is damaged: begin the search again in another --out.") from error
    # A sampler has no memory beside its trials: continued with one seed, it would draw the first again.
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=FIRST, seed=seed + len(study.trials))
    return study


def _take_up(study: "optuna.Study") -> None:
    """Put trials that were running when the search was cut off at the head of the queue."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={FOLDER: trial.user_attrs.get(FOLDER, "")})


def _ended(study: "optuna.Study") -> int:
    """Count the trials that came to an end, those without a figure included."""
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return len(done) + sum(ENDED in trial.user_attrs for trial in study.get_trials(deepcopy=False))


def _run(
    study: "optuna.Study",
    trial: "optuna.Trial",
    ranges: Sequence[Range],
    config: TrainConfig,
    out: Path,
    device: str,
) -> None:
    """Train one trial and tell the study how it went."""
    import optuna
    from optuna.trial import TrialState

    chosen = {each.name: each.suggest(trial) for each in ranges}
    try:
        own = config.changed(**chosen)
        start_of(own)
    except SourceError:  # what cannot be fetched now may be another day
        raise
    except (InputError, WeightsError) as error:  # settings that are good alone and do not go together
        print(f"refused: {error}", flush=True)
        trial.set_user_attr(ENDED, "refused")
        study.tell(trial, state=TrialState.FAIL)
        return
    folder = trial.user_attrs.get(FOLDER) or f"trial-{trial.number:03d}"
    trial.set_user_attr(FOLDER, folder)

    def watch(history: Sequence[Row]) -> None:
        trial.report(max(figure_of(row, own) for row in history), step=len(history))
        if len(history) < own.epochs and trial.should_prune():
            raise optuna.TrialPruned

    print(f"{folder}: " + ", ".join(f"{name} {_shown(value)}" for name, value in chosen.items()), flush=True)
    try:
        Trainer(own, out / folder, device=device, resume=True, watch=watch).run()
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except TrainingError:  # a loss that is no number is an answer, too
        trial.set_user_attr(ENDED, "diverged")
        study.tell(trial, state=TrialState.FAIL)
    else:
        history = read_history(out / folder / "history.csv")
        rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
        study.tell(trial, max(figure_of(row, own) for row in rows))


def _write_table(study: "optuna.Study", ranges: Sequence[Range], out: Path) -> None:
    """Write trials.csv."""
    from optuna.trial import TrialState

    text = io.StringIO()
    names = [each.name for each in ranges]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "epochs", "valid", *names])
    for trial in study.get_trials(deepcopy=False):
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or ENDED in trial.user_attrs:
            state = trial.user_attrs.get(ENDED, trial.state.name.lower())
            seen = trial.intermediate_values
            best = f"{max(seen.values()):.5f}" if seen else ""
            row = [trial.user_attrs.get(FOLDER, ""), state, max(seen, default=0), best]
            writer.writerow([*row, *(_shown(trial.params[name]) for name in names)])
    write_text(out / TABLE, text.getvalue())


def _best(study: "optuna.Study", config: TrainConfig, out: Path) -> TrainConfig:
    """Write best.json; returns the best config."""
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise TrainingError(
            "No trial came to an end (trials.csv): vary lower learning rates, or settings that go together."
        )
    found = config.changed(**study.best_params)
    write_text(out / BEST, json.dumps(found.to_dict(), indent=2) + "\n")
    return found


def best_command(config: TrainConfig, out: Path) -> str:
    """Write the command line that trains the best config of a search again."""
    return command_of(config, str(out / "best"))


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _value(name: str, word: str) -> Value:
    """A word as the field's type has it; raises ValueError."""
    field = TrainConfig.model_fields[name]
    if get_origin(field.annotation) is Literal:
        if word not in get_args(field.annotation):
            raise InputError(
                f"--vary: {name} is one of {', '.join(get_args(field.annotation))}, not “{word}”."
            )
        return word
    if isinstance(field.default, bool):
        return {"true": True, "false": False}[word.lower()]
    value: Value = (str if field.is_required() else type(field.default))(word)
    return value
