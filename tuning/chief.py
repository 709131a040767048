"""One oracle for workers in other processes and on other machines, over KerasTuner's own protocol.

Values and reasons travel as metadata of its calls: its messages round numbers to 32 bits and have no
field for why a trial failed. A worker that only speaks KerasTuner's protocol is served, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

import grpc
from keras_tuner.src import protos  # KerasTuner's protocol has no public name
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from tuning.errors import BadInput
from tuning.work import Lost

TUNER_ID, IP, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
_SILENT = 120.0  # seconds after which a worker that used to tell of its trial counts as lost
_PATIENCE = 60.0  # seconds that a worker waits for its chief
_AT_FIRST = 300.0  # and before it was ever answered: a chief tries a training out before it listens
_KEY = "keras-cnns-bin"


class _Servicer(OracleServicer):
    """KerasTuner's servicer, exact and told of every worker's last word."""

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.heard: dict[str, float] = {}  # trial → when its worker spoke of it last

    def CreateTrial(self, request: Any, context: Any) -> Any:
        trial = self.oracle.create_trial(request.tuner_id)
        if trial.status == "RUNNING":
            if _KEY in dict(context.invocation_metadata()):  # it will tell of its trial every few seconds
                self.heard[trial.trial_id] = time.monotonic()
            self.oracle.begun(trial.trial_id, request.tuner_id)
        context.set_trailing_metadata(((_KEY, _packed(trial.hyperparameters.values)),))
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

    def UpdateTrial(self, request: Any, context: Any) -> Any:
        lacking = {self.oracle.objective.name} - set(request.metrics)
        if lacking or request.trial_id not in self.oracle.trials:
            # KerasTuner's oracle would raise, and keep its lock for ever.
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"an unknown trial, or without {lacking}")
        self.heard[request.trial_id] = time.monotonic()
        trial = self.oracle.update_trial(request.trial_id, dict(request.metrics), step=request.step)
        return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

    def GetTrial(self, request: Any, context: Any) -> Any:
        told = dict(context.invocation_metadata()).get(_KEY)
        if told is not None:
            trial = self.oracle.ongoing_trials.get(json.loads(told)["worker"])
            if trial is None or trial.trial_id != request.trial_id:
                # Two processes must not write one trial's checkpoints.
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the trial is another worker's")
        self.heard[request.trial_id] = time.monotonic()
        return super().GetTrial(request, context)

    def EndTrial(self, request: Any, context: Any) -> Any:
        told = dict(context.invocation_metadata()).get(_KEY)
        if told is None:
            return super().EndTrial(request, context)
        facts = json.loads(told)
        self.heard.pop(request.trial.trial_id, None)
        self.oracle.ended(request.trial.trial_id, facts.pop("status"), facts)
        return protos.get_service().EndTrialResponse()


@contextlib.contextmanager
def serving(oracle: Any, address: str) -> Iterator[int]:
    """Serve an oracle while inside; trials of workers that fell silent are returned.

    Args:
        oracle: One of `tuning.engines`.
        address: "IP:PORT"; port 0 takes a free one.

    Yields:
        The port.

    Raises:
        BadInput: The address cannot be had.
    """
    servicer = _Servicer(oracle)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise BadInput(f"{IP}, {PORT}: {address} cannot be listened to; is another chief there?")
    server.start()
    over = threading.Event()
    threading.Thread(target=_watch, args=(oracle, servicer, over), daemon=True).start()
    try:
        yield port
    finally:
        over.set()
        server.stop(1).wait()


def _watch(oracle: Any, servicer: _Servicer, over: threading.Event) -> None:
    while not over.wait(1):
        late = time.monotonic() - _SILENT
        for worker, trial in list(oracle.ongoing_trials.items()):
            heard = servicer.heard.get(trial.trial_id)
            if heard is not None and heard < late:
                servicer.heard.pop(trial.trial_id, None)
                oracle.give_back(worker)


class Far:
    """The oracle of a chief elsewhere, as `tuning.work.Desk`.

    Args:
        address: "IP:PORT".

    Its methods raise ConnectionError where the chief does not answer for a minute, five at first.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._stub = protos.get_service_grpc().OracleStub(grpc.insecure_channel(address))
        self._beaten = 0.0
        self._answered = False
        self._worker = ""

    def take(self, worker: str) -> tuple[str, str, dict[str, Any]]:
        """As in `Desk`."""
        request = protos.get_service().CreateTrialRequest(tuner_id=worker)
        with self._reached():
            answer, call = self._stub.CreateTrial.with_call(
                request, wait_for_ready=True, timeout=_PATIENCE if self._answered else _AT_FIRST,
                metadata=((_KEY, b"{}"),),
            )  # fmt: skip
        self._answered, self._worker = True, worker
        trial = answer.trial
        told = dict(call.trailing_metadata()).get(_KEY, b"{}")
        status = protos.get_proto().TrialStatus.Name(trial.status)
        return status, trial.trial_id, json.loads(told)

    def tell(self, trial: str, figures: Mapping[str, float], epoch: int) -> None:
        """As in `Desk`."""
        request = protos.get_service().UpdateTrialRequest(trial_id=trial, metrics=figures, step=epoch)
        with self._reached():
            self._stub.UpdateTrial(request, wait_for_ready=True, timeout=_PATIENCE)

    def beat(self, trial: str) -> None:
        """As in `Desk`; at most every few seconds."""
        if time.monotonic() - self._beaten < 5:
            return
        self._beaten = time.monotonic()
        with self._reached():
            self._stub.GetTrial(
                protos.get_service().GetTrialRequest(trial_id=trial), wait_for_ready=True, timeout=_PATIENCE,
                metadata=((_KEY, _packed({"worker": self._worker})),),
            )  # fmt: skip

    def end(self, trial: str, status: str, facts: Mapping[str, Any]) -> None:
        """As in `Desk`."""
        request = protos.get_service().EndTrialRequest(trial=protos.get_proto().Trial(trial_id=trial))
        told = ((_KEY, _packed({**facts, "status": status})),)
        with self._reached():
            self._stub.EndTrial(request, wait_for_ready=True, timeout=_PATIENCE, metadata=told)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                raise Lost from None
            raise ConnectionError(
                f"the chief at {self._address} does not answer ({error.code().name})"
            ) from None


def role() -> tuple[str, str] | None:
    """("chief" or this worker's id, address) as KERASTUNER_* says; None where none of it is set.

    Raises:
        BadInput: Some are set, and others lack.
    """
    found = {name: os.environ.get(name, "") for name in (TUNER_ID, IP, PORT)}
    if not any(found.values()):
        return None
    lacking = [name for name, value in found.items() if not value]
    if lacking:
        raise BadInput(f"{lacking[0]} is not set, while {next(name for name in found if found[name])} is")
    if not found[PORT].isdigit():
        raise BadInput(f"{PORT} must be a number, not {found[PORT]!r}")
    name = found[TUNER_ID]
    return ("chief" if "chief" in name else name), f"{found[IP]}:{found[PORT]}"


def _packed(values: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(values)).encode()
