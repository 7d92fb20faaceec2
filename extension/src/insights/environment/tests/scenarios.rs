//! Ways in which an environment ends, and the fault that follows.

use super::{Event, MIB};
use crate::config::FaultKind;
use crate::insights::classify::ShutdownReason;
use crate::telemetry::{
    InitPhase, InitStart, InvocationEnd, InvocationStart, PhaseEnd, PlatformEvent, PlatformFault, RequestId,
};

fn end(id: &str, status: &str, error_type: &str) -> InvocationEnd {
    InvocationEnd {
        request: RequestId::new(id),
        status: status.to_owned(),
        error_type: Some(error_type.to_owned()).filter(|text| !text.is_empty()),
        ..InvocationEnd::default()
    }
}

pub(super) fn start(id: &str) -> PlatformEvent {
    PlatformEvent::Start(InvocationStart { request: RequestId::new(id), trace: None })
}

pub(super) fn done(id: &str, status: &str, error_type: &str) -> PlatformEvent {
    PlatformEvent::RuntimeDone(end(id, status, error_type))
}

pub(super) fn report(id: &str, status: &str, error_type: &str, used: f64) -> PlatformEvent {
    let mut end = end(id, status, error_type);
    end.metrics.memory_size_mb = Some(128.0);
    end.metrics.max_memory_used_mb = Some(used);
    PlatformEvent::Report(end)
}

fn init(phase: InitPhase, status: &str, error_type: &str) -> PhaseEnd {
    let error_type = Some(error_type.to_owned()).filter(|text| !text.is_empty());
    PhaseEnd { phase, status: Some(status.to_owned()), error_type, duration_ms: None }
}

fn init_start(phase: InitPhase) -> PlatformEvent {
    PlatformEvent::InitStart(InitStart { phase, ..InitStart::default() })
}

/// A kind of end: events in their order, records in any, and the fault that follows: its kind, its request, its text.
pub(super) type Scenario = (Vec<Event>, Vec<PlatformEvent>, Option<(FaultKind, &'static str, &'static str)>);

#[expect(clippy::too_many_lines)]
pub(super) fn scenarios() -> Vec<Scenario> {
    use Event::{Invoke, OomKill, Sample, Shutdown, Unhandled};
    use FaultKind::{InitError, OutOfMemory, RuntimeExit, SandboxFailure, Timeout};
    let failure = || Shutdown(ShutdownReason::Failure);
    let exit = || done("r", "error", "Runtime.ExitError");
    let again =
        || PlatformEvent::InitRuntimeDone(init(InitPhase::Invoke, "error", "Runtime.ImportModuleError"));
    let ahead =
        || PlatformEvent::InitRuntimeDone(init(InitPhase::Init, "error", "Runtime.ImportModuleError"));
    let exited = "The runtime exited during the invocation (Runtime.ExitError)";
    vec![
        (
            vec![Invoke("r"), Shutdown(ShutdownReason::Timeout)],
            vec![start("r"), done("r", "timeout", ""), report("r", "timeout", "", 128.0)],
            Some((Timeout, "r", "Task timed out after 3.00 seconds")),
        ),
        (
            // The function had answered, and an extension was late.
            vec![Invoke("r"), Shutdown(ShutdownReason::Timeout)],
            vec![start("r"), done("r", "success", "")],
            Some((Timeout, "r", "Task timed out after 3.00 seconds")),
        ),
        (vec![Invoke("r"), failure()], vec![start("r"), exit()], Some((RuntimeExit, "r", exited))),
        (
            vec![Invoke("r"), failure()],
            vec![
                start("r"),
                exit(),
                PlatformEvent::Fault(PlatformFault {
                    request: Some(RequestId::new("r")),
                    text: "Runtime exited with error: exit status 1".to_owned(),
                }),
            ],
            Some((RuntimeExit, "r", "Runtime exited with error: exit status 1")),
        ),
        (vec![Invoke("r"), Unhandled("r"), failure()], vec![start("r"), exit()], None),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), done("r", "error", "Runtime.OutOfMemory")],
            Some((OutOfMemory, "r", "Out of memory")),
        ),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), exit(), report("r", "error", "Runtime.ExitError", 127.0)],
            Some((OutOfMemory, "r", "Out of memory: 127 of 128 MB used")),
        ),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), exit(), report("r", "error", "Runtime.ExitError", 126.0)],
            Some((RuntimeExit, "r", exited)),
        ),
        (
            vec![
                Invoke("r"),
                Sample(90 * MIB),
                Sample(127 * MIB),
                Sample(3 * MIB),
                Unhandled("r"),
                failure(),
            ],
            vec![start("r"), exit()],
            Some((OutOfMemory, "r", "Out of memory: 127 of 128 MB used")),
        ),
        (
            vec![Invoke("r"), OomKill, failure()],
            vec![start("r"), exit()],
            Some((OutOfMemory, "r", "Out of memory")),
        ),
        (
            // Memory was full, and nothing was killed.
            vec![Invoke("r"), Sample(128 * MIB), Shutdown(ShutdownReason::Other)],
            vec![start("r"), done("r", "success", ""), report("r", "success", "", 128.0)],
            None,
        ),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), done("r", "failure", "Sandbox.Failure")],
            Some((SandboxFailure, "r", "Lambda could not run the function (Sandbox.Failure)")),
        ),
        (
            // It ends as if nobody needed it any more.
            vec![Shutdown(ShutdownReason::Other)],
            vec![
                init_start(InitPhase::Init),
                ahead(),
                PlatformEvent::InitReport(init(InitPhase::Init, "error", "")),
            ],
            Some((InitError, "", "Init failed (Runtime.ImportModuleError)")),
        ),
        (
            // Init is run again inside the first invocation, in the same process.
            vec![Invoke("r"), failure()],
            vec![ahead(), again(), start("r"), done("r", "error", "Runtime.ImportModuleError")],
            Some((InitError, "", "Init failed (Runtime.ImportModuleError)")),
        ),
        (
            // The same in a process of its own.
            vec![Invoke("r"), failure()],
            vec![init_start(InitPhase::Invoke), again(), start("r"), exit()],
            Some((InitError, "r", "Init failed (Runtime.ImportModuleError)")),
        ),
        (
            // A suppressed init: the second try works.
            vec![Invoke("r"), failure()],
            vec![PlatformEvent::InitRuntimeDone(init(InitPhase::Invoke, "success", "")), start("r"), exit()],
            Some((RuntimeExit, "r", exited)),
        ),
        (
            vec![failure()],
            vec![PlatformEvent::RestoreRuntimeDone(init(
                InitPhase::Init,
                "error",
                "Runtime.RestoreHookUserError",
            ))],
            Some((InitError, "", "Restore failed (Runtime.RestoreHookUserError)")),
        ),
        (
            // What a handler raises, the runtime catches.
            vec![Invoke("q"), Unhandled("q"), Invoke("r"), Shutdown(ShutdownReason::Other)],
            vec![
                start("q"),
                done("q", "success", ""),
                start("r"),
                done("r", "error", "Function.ResponseSizeTooLarge"),
            ],
            None,
        ),
        (
            // The runtime goes on after these errors.
            vec![Invoke("q"), Invoke("r"), Shutdown(ShutdownReason::Other)],
            vec![
                start("q"),
                done("q", "error", "Runtime.MarshalError"),
                start("r"),
                done("r", "error", "Runtime.TruncatedResponse"),
                report("r", "error", "", 60.0),
            ],
            None,
        ),
        (
            // The last records of the process before: its faults are not this one's.
            vec![Invoke("r"), Shutdown(ShutdownReason::Other)],
            vec![
                done("old", "timeout", ""),
                report("old", "timeout", "", 128.0),
                report("older", "error", "Runtime.ExitError", 127.0),
                start("r"),
                done("r", "success", ""),
            ],
            None,
        ),
        (
            // They do not hide which invocation has ended the environment, even if there are many.
            vec![Invoke("r"), Sample(127 * MIB), failure()],
            vec![
                done("old", "success", ""),
                done("older", "success", ""),
                done("oldest", "success", ""),
                report("first", "success", "", 1.0),
                report("other", "success", "", 1.0),
            ],
            Some((OutOfMemory, "r", "Out of memory: 127 of 128 MB used")),
        ),
        (
            // Lambda tries an invocation again.
            vec![Invoke("r"), Invoke("q"), Invoke("r"), Shutdown(ShutdownReason::Timeout)],
            vec![],
            Some((Timeout, "r", "Task timed out after 3.00 seconds")),
        ),
        (vec![Shutdown(ShutdownReason::Other)], vec![init_start(InitPhase::Init)], None),
    ]
}
