//! A function as it is deployed: code, packages, runtime, environment.

use super::{sentry::Sentry, tools};
use std::path::PathBuf;

/// The parts of a Lambda environment. Each mount is a path of this machine and its name below `/mnt`.
pub struct Function {
    pub(super) command: Vec<String>,
    pub(super) mounts: Vec<(PathBuf, &'static str)>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) layered: Vec<(&'static str, u32, Vec<u8>)>,
    /// Whether RIE runs as root and gives up its rights for the processes that it starts.
    pub(super) as_root: bool,
}

impl Function {
    /// Makes a Python function with the packages of a virtual environment, run by AWS's own runtime client. It uses the
    /// system's Python, because the function's user cannot read one in a home folder.
    pub fn python(name: &str, packages: &str) -> Self {
        Self::new(name, &["/usr/bin/python3", "-m", "awslambdaric", "app.handler"])
            .mount(tools::site_packages(packages), "site")
            .env("PYTHONPATH", "/mnt/site")
            .env("PYTHONDONTWRITEBYTECODE", "1")
    }

    /// Makes a Node function with the packages of `ci/package.json`.
    pub fn node(name: &str) -> Self {
        Self::new(name, &["/mnt/bin/node", "/mnt/runtime/bootstrap.mjs"])
            .env("_HANDLER", "index.handler")
            .mount(tools::function("node-runtime"), "runtime")
            .mount(tools::program("node"), "bin/node")
            .mount(tools::node_modules(), "node_modules")
    }

    /// Makes a function of Lambda Managed Instances, which runs this many requests at a time. RIE takes the second
    /// variable for the sign of such a function, and then looks for the runtime in `/opt` and two other folders only.
    pub fn managed(requests: usize) -> Self {
        let function = Self::new("python-managed", &["/opt/bootstrap"]);
        Self { as_root: true, ..function }
            .layered("bootstrap", 0o755, include_str!("../../functions/python-managed/bootstrap"))
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances")
            .env("AWS_LAMBDA_MAX_CONCURRENCY", requests.to_string())
    }

    fn new(name: &str, command: &[&str]) -> Self {
        let environment = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
            ("LAMBDA_TASK_ROOT", "/mnt/task"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_LAMBDA_FUNCTION_NAME", "test-function"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_TIMEOUT", "30"),
        ];
        Self {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            mounts: vec![(tools::function(name), "task")],
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            layered: Vec::new(),
            as_root: false,
        }
    }

    /// Adds a file with this mode to the layer.
    pub fn layered(mut self, name: &'static str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.layered.push((name, mode, content.into()));
        self
    }

    /// Points the extension at the stand-in, as an operator points it at Sentry.
    pub fn reports_to(self, sentry: &Sentry, key: &str, project: &str) -> Self {
        self.env("SENTRY_DSN", sentry.dsn(key, project))
            .env("SENTRY_EXTENSION_CA_BUNDLE", "/mnt/ca.pem")
            .mount(sentry.ca_file().to_owned(), "ca.pem")
    }

    /// Starts the runtime through the layer's wrapper. Lambda does that if the variable is set; RIE ignores the
    /// variable, so the command is changed too.
    pub fn wrapped(mut self) -> Self {
        let wrapper = "/opt/sentry-exec-wrapper";
        self.command.insert(0, wrapper.to_owned());
        self.env("AWS_LAMBDA_EXEC_WRAPPER", wrapper)
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    fn mount(mut self, source: PathBuf, name: &'static str) -> Self {
        self.mounts.push((source, name));
        self
    }
}
