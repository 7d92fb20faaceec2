//! One call of a stack, as each language writes it. Pure.

use serde_json::{Map, Value};

/// Longer names are cut, in bytes.
const MAX_NAME: usize = 512;

/// The language of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Node,
    Java,
    DotNet,
    Ruby,
    Go,
    Unknown,
}

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: Option<String>,
    /// The namespace or class, where the language has one.
    pub(super) module: Option<String>,
    pub(super) path: Option<String>,
    pub(super) line: Option<u64>,
    pub(super) column: Option<u64>,
    /// The line of code.
    pub(super) code: Option<String>,
    pub(super) in_app: bool,
}

impl Language {
    /// The language of Lambda's runtime, such as `python:3.13.v58`.
    pub(super) fn of_runtime(runtime: &str) -> Self {
        let name = runtime.split(':').next().unwrap_or_default();
        match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
            "python" => Self::Python,
            "nodejs" | "nodejs.x" => Self::Node,
            "java" => Self::Java,
            "dotnet" | "dotnetcore" => Self::DotNet,
            "ruby" => Self::Ruby,
            "go" | "go.x" => Self::Go,
            _ => Self::Unknown,
        }
    }

    /// Sentry's name for it.
    pub(super) fn platform(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Java => "java",
            Self::DotNet => "csharp",
            Self::Ruby => "ruby",
            Self::Go => "go",
            Self::Unknown => "other",
        }
    }

    /// Recognizes the language of a frame that is text.
    pub(super) fn of_frame(text: &str) -> Option<Self> {
        let text = text.trim_start();
        if text.starts_with("File \"") {
            return Some(Self::Python);
        }
        if text.contains(":in ") && !text.starts_with("at ") {
            return Some(Self::Ruby);
        }
        let call = text.strip_prefix("at ")?.trim_end();
        let place = call.strip_suffix(')').and_then(|call| call.rsplit_once('(')).map(|(_, place)| place);
        if call.contains(" in ") && call.contains(":line ") {
            Some(Self::DotNet)
        } else if place.is_some_and(is_place_of_java) {
            Some(Self::Java)
        } else if place.is_some_and(is_place_of_node) || is_place_of_node(call) {
            Some(Self::Node)
        } else {
            place.map(|_| Self::DotNet)
        }
    }

    /// Reads a frame that is text. `None`: it is none.
    pub(super) fn frame(self, text: &str) -> Option<Frame> {
        let text = text.trim();
        let mut frame = match self {
            Self::Python => of_python(text),
            Self::Node => of_node(text),
            Self::Java => of_java(text),
            Self::DotNet => of_dotnet(text),
            Self::Ruby => of_ruby(text),
            Self::Go | Self::Unknown => None,
        }?;
        frame.in_app = self.is_in_app(&frame);
        Some(frame)
    }

    /// Whether the call is of the function's own code, and not of a library or of the runtime.
    pub(super) fn is_in_app(self, frame: &Frame) -> bool {
        const LIBRARIES: [&str; 6] =
            ["/node_modules/", "/site-packages/", "/dist-packages/", "/vendor/bundle/", "/gems/", "<frozen "];
        const SYSTEM: [&str; 6] = ["/var/runtime/", "/var/lang/", "/opt/", "/usr/", "node:", "internal/"];
        const JAVA: [&str; 9] = [
            "java.",
            "javax.",
            "jakarta.",
            "sun.",
            "jdk.",
            "com.sun.",
            "com.amazonaws.",
            "software.amazon.",
            "lambdainternal.",
        ];
        const DOTNET: [&str; 5] = ["System.", "Microsoft.", "Amazon.", "lambda_method", "AWSLambda."];
        let path = frame.path.as_deref().unwrap_or_default();
        let module = frame.module.as_deref().unwrap_or_default();
        match self {
            Self::Java => !JAVA.iter().any(|prefix| module.starts_with(prefix)),
            Self::DotNet => !DOTNET.iter().any(|prefix| module.starts_with(prefix)),
            // The path begins with that of the package, and dependencies have their version in it.
            Self::Go => {
                !path.contains("@v") && !path.starts_with("runtime/") && !path.starts_with("reflect/")
            }
            _ => {
                !path.is_empty()
                    && !LIBRARIES.iter().any(|library| path.contains(library))
                    && !SYSTEM.iter().any(|prefix| path.starts_with(prefix))
            }
        }
    }
}

impl Frame {
    /// Reads a frame of Go, which is an object with `path`, `line` and `label`.
    pub(super) fn of_go(fields: &Map<String, Value>) -> Option<Self> {
        let text = |name| fields.get(name).and_then(Value::as_str).map(cut);
        let (function, path) = (Some(text("label")?), text("path"));
        let mut frame =
            Self { function, path, line: fields.get("line").and_then(Value::as_u64), ..Self::default() };
        frame.in_app = Language::Go.is_in_app(&frame);
        Some(frame)
    }
}

/// `File "/var/task/app.py", line 5, in handler`, and the code in the next line.
fn of_python(text: &str) -> Option<Frame> {
    let (head, code) = text.split_once('\n').unwrap_or((text, ""));
    let (path, rest) = head.strip_prefix("File \"")?.split_once('"')?;
    // A syntax error has another spelling.
    let rest = rest.strip_prefix(", line ").or_else(|| rest.strip_prefix(" Line "))?;
    let (line, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    let code = code.lines().next().unwrap_or_default().trim();
    Some(Frame {
        function: some(function),
        path: some(path),
        line: Some(line.trim().parse().ok()?),
        code: some(code),
        ..Frame::default()
    })
}

/// `at handler (/var/task/index.js:3:9)`, or without a name.
fn of_node(text: &str) -> Option<Frame> {
    let call = text.strip_prefix("at ")?;
    let (function, place) = match call.strip_suffix(')').and_then(|call| call.split_once(" (")) {
        Some((function, place)) => (function.strip_prefix("async ").unwrap_or(function), place),
        None => ("", call.strip_prefix("async ").unwrap_or(call)),
    };
    let (rest, column) = place.rsplit_once(':')?;
    let (path, line) = rest.rsplit_once(':')?;
    Some(Frame {
        function: some(function),
        path: some(path.strip_prefix("file://").unwrap_or(path)),
        line: Some(line.parse().ok()?),
        column: Some(column.parse().ok()?),
        ..Frame::default()
    })
}

/// `at shop.Orders.handle(Orders.java:12)`; newer versions write the module in front: `java.base/java.util.…`.
fn of_java(text: &str) -> Option<Frame> {
    let call = text.strip_prefix("at ").unwrap_or(text);
    let (name, place) = call.strip_suffix(')')?.rsplit_once('(')?;
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let (module, function) = name.rsplit_once('.')?;
    let (file, line) = place.rsplit_once(':').unwrap_or((place, ""));
    let is_file = !matches!(file, "Native Method" | "Unknown Source");
    Some(Frame {
        function: some(function),
        module: some(module),
        path: some(file).filter(|_| is_file),
        line: line.parse().ok(),
        ..Frame::default()
    })
}

/// `at Shop.Orders.Handle(String id) in /src/Orders.cs:line 12`; without symbols it ends at the parenthesis.
fn of_dotnet(text: &str) -> Option<Frame> {
    let call = text.strip_prefix("at ")?;
    let (call, place) = call.rsplit_once(" in ").unwrap_or((call, ""));
    let (path, line) = place.rsplit_once(":line ").unwrap_or((place, ""));
    let (name, _arguments) = call.split_once('(')?;
    let (module, function) = name.rsplit_once('.')?;
    Some(Frame {
        function: some(function),
        module: some(module),
        path: some(path),
        line: line.trim().parse().ok(),
        ..Frame::default()
    })
}

/// `/var/task/app.rb:3:in 'handler'`, with a backtick in front of the name before Ruby 3.4.
fn of_ruby(text: &str) -> Option<Frame> {
    let (place, function) = text.split_once(":in ").unwrap_or((text, ""));
    let (path, line) = place.rsplit_once(':')?;
    let function = function.trim_matches(['`', '\'']);
    Some(Frame {
        function: some(function),
        path: some(path),
        line: Some(line.parse().ok()?),
        ..Frame::default()
    })
}

fn is_place_of_java(place: &str) -> bool {
    let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
    matches!(place, "Native Method" | "Unknown Source")
        || [".java", ".kt", ".scala", ".groovy", ".clj"].iter().any(|end| file.ends_with(end))
            && !file.contains('/')
}

fn is_place_of_node(place: &str) -> bool {
    let mut numbers = place.rsplitn(3, ':');
    let mut is_number = || numbers.next().is_some_and(|text| text.parse::<u64>().is_ok());
    is_number() && is_number()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| cut(text))
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_NAME)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
