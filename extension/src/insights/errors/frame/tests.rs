use super::*;

#[test]
fn every_language() {
    let frame = |function: &str, module: &str, path: &str, line: u64, in_app| Frame {
        function: some(function),
        module: some(module),
        path: some(path),
        line: Some(line),
        in_app,
        ..Frame::default()
    };
    for (language, text, expected) in [
        (
            Language::Python,
            "  File \"/var/task/app.py\", line 5, in handler",
            frame("handler", "", "/var/task/app.py", 5, true),
        ),
        (
            Language::Python,
            "File \"/var/task/requests/site-packages/a.py\", line 5, in get",
            frame("get", "", "/var/task/requests/site-packages/a.py", 5, false),
        ),
        (
            Language::Java,
            "\tat shop.Orders.handle(Orders.java:12)",
            frame("handle", "shop.Orders", "Orders.java", 12, true),
        ),
        (
            Language::Java,
            "at java.base/java.util.ArrayList.get(ArrayList.java:427)",
            frame("get", "java.util.ArrayList", "ArrayList.java", 427, false),
        ),
        (
            Language::DotNet,
            "at Shop.Orders.Handle(String id, Int32 n) in /src/Orders.cs:line 12",
            frame("Handle", "Shop.Orders", "/src/Orders.cs", 12, true),
        ),
        (
            Language::Ruby,
            "/var/task/app.rb:3:in 'handler'",
            frame("handler", "", "/var/task/app.rb", 3, true),
        ),
        (
            Language::Ruby,
            "/var/lang/lib/ruby/gems/3.3.0/gems/x/a.rb:3:in `get'",
            frame("get", "", "/var/lang/lib/ruby/gems/3.3.0/gems/x/a.rb", 3, false),
        ),
        (
            Language::Node,
            "at Array.map (<anonymous>:1:2)",
            Frame { column: Some(2), ..frame("Array.map", "", "<anonymous>", 1, true) },
        ),
        (
            Language::Node,
            "at /var/task/index.js:3:9",
            Frame { column: Some(9), ..frame("", "", "/var/task/index.js", 3, true) },
        ),
        (
            Language::Node,
            "    at async Runtime.handleOnce (file:///var/runtime/index.mjs:1173:29)",
            Frame {
                column: Some(29),
                ..frame("Runtime.handleOnce", "", "/var/runtime/index.mjs", 1173, false)
            },
        ),
    ] {
        assert_eq!(Language::of_frame(text), Some(language), "{text}");
        assert_eq!(language.frame(text), Some(expected), "{text}");
    }
    let native = Language::Java.frame("at jdk.Unsafe.park(Native Method)").unwrap();
    assert_eq!((native.path, native.line, native.in_app), (None, None, false));
    let bare = Language::DotNet.frame("at System.Linq.Enumerable.First[T](IEnumerable`1 source)").unwrap();
    assert_eq!((bare.module.as_deref(), bare.in_app), (Some("System.Linq.Enumerable"), false));
}

#[test]
fn what_is_no_frame() {
    for text in [
        "",
        "at ",
        "at the end",
        "File \"",
        "File \"a\", line x, in y",
        "Error: no",
        "):in ",
        "at (",
        "at a:b:c",
    ] {
        if let Some(language) = Language::of_frame(text) {
            assert_eq!(language.frame(text), None, "{text}");
        }
    }
}

#[test]
fn runtimes() {
    for (runtime, language) in [
        ("python:3.13.v58", Language::Python),
        ("nodejs:22.v40", Language::Node),
        ("java:21.v30", Language::Java),
        ("dotnet:8.v20", Language::DotNet),
        ("ruby:3.4.v5", Language::Ruby),
        ("provided:al2023.v90", Language::Unknown),
        ("", Language::Unknown),
    ] {
        assert_eq!(Language::of_runtime(runtime), language, "{runtime}");
    }
}
