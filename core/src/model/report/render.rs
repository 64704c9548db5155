//! From marks to text.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::model::error::Problem;

use super::{Mark, Report};

/// More places are counted, not shown.
const MAX_PLACES: usize = 50;
/// A longer line is shown around its problem alone, in bytes.
const MAX_LINE: usize = 300;
/// More problems of one line make a picture that nobody can read.
const MAX_TOGETHER: usize = 6;
/// A longer help gets a line of its own, in bytes.
const MAX_ASIDE: usize = 40;

type One<'r> = (&'r Problem, &'r Mark);

pub(super) fn render(report: &Report<'_>) -> String {
    let renderer = if report.is_colored { Renderer::styled() } else { Renderer::plain() };
    let all: Vec<One<'_>> = report.problems.iter().zip(&report.marked.marks).collect();
    let mut out = Vec::new();
    let mut shown = 0;
    for together in all.chunk_by(|one, next| is_same_line(report, one, next)).flat_map(|line| line.chunks(MAX_TOGETHER))
    {
        if out.len() == MAX_PLACES {
            break;
        }
        out.push(place(report, &renderer, together));
        shown += together.len();
    }
    let rest = all.len() - shown;
    if rest > 0 {
        out.push(format!("… and {rest} more problem{}", plural(rest)));
    }
    // What a terminal would take for a command, and the renderer lets through.
    out.join("\n\n").replace(|letter| matches!(letter, '\u{80}'..='\u{9f}'), "\u{b7}")
}

fn is_same_line(report: &Report<'_>, (one, mark): &One<'_>, (next, other): &One<'_>) -> bool {
    let is_in_file = |mark: &Mark| mark.condition.is_none() && mark.earlier.is_none();
    let is_short = |span: &Range<usize>| line_around(&report.marked.source, span).len() <= MAX_LINE;
    one.line == next.line
        && is_in_file(mark)
        && is_in_file(other)
        && mark.span.as_ref().is_some_and(is_short)
        && other.span.is_some()
}

/// One problem, or several of one line.
fn place(report: &Report<'_>, renderer: &Renderer, together: &[One<'_>]) -> String {
    let [(problem, mark), ..] = together else { return String::new() };
    let title = match together.len() {
        1 => problem.message.clone(),
        several => format!("{several} problems in this line"),
    };
    let mut group = Group::with_title(Level::ERROR.primary_title(title));
    let (source, file) = match &mark.condition {
        Some(condition) => (condition, "condition"),
        None => (&report.marked.source, report.file),
    };
    let mut columns = None;
    if let Some(span) = &mark.span {
        let line = Line::of(source, span);
        let marked = together.iter().filter_map(|(problem, mark)| {
            let label = if together.len() > 1 { Some(aside(problem)) } else { mark.label.map(str::to_owned) };
            Some(AnnotationKind::Primary.span(line.within(mark.span.as_ref()?)).label(label))
        });
        columns = line.columns(span, problem.column);
        group = group.element(line.snippet(file, problem.line).annotations(marked));
    }
    if let Some(earlier) = &mark.earlier {
        let line = Line::of(source, &earlier.span);
        let mark = AnnotationKind::Context.span(line.within(&earlier.span)).label(earlier.label);
        group = group.element(line.snippet(file, earlier.line).annotation(mark));
    }
    let mut told: Vec<&str> = Vec::new();
    for (problem, mark) in together {
        let is_aside = together.len() > 1 && is_short(problem);
        if let Some(help) =
            problem.help.as_deref().filter(|help| !mark.is_help_told && !is_aside && !told.contains(help))
        {
            told.push(help);
            group = group.element(Level::HELP.message(help));
        }
    }
    let text = renderer.render(&[group]);
    match columns {
        Some((shown, meant)) => {
            let place = |column: u32| format!("{file}:{}:{column}", problem.line);
            text.replacen(&place(shown), &place(meant), 1)
        }
        None => text,
    }
}

/// What stands beside the carets where a line has several problems.
fn aside(problem: &Problem) -> String {
    match &problem.help {
        Some(help) if is_short(problem) => format!("{}; {help}", problem.message),
        _ => problem.message.clone(),
    }
}

fn is_short(problem: &Problem) -> bool {
    problem.help.as_ref().is_some_and(|help| help.len() <= MAX_ASIDE)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The line in which a span begins, without its end.
fn line_around<'s>(source: &'s str, span: &Range<usize>) -> &'s str {
    let (before, after) = source.split_at(source.floor_char_boundary(span.start));
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = before.len() + after.find('\n').unwrap_or(after.len());
    let line = &source[start..end];
    line.strip_suffix('\r').unwrap_or(line)
}

/// The line in which a problem begins, as it is shown.
struct Line<'s> {
    text: &'s str,
    /// Where the text begins in the source.
    start: usize,
    is_cut: bool,
}

impl<'s> Line<'s> {
    fn of(source: &'s str, span: &Range<usize>) -> Self {
        let whole = line_around(source, span);
        let start = whole.as_ptr() as usize - source.as_ptr() as usize;
        if whole.len() <= MAX_LINE {
            return Self { text: whole, start, is_cut: false };
        }
        let around = MAX_LINE / 3;
        let at = span.start.saturating_sub(start);
        let from = whole.floor_char_boundary(at.saturating_sub(around));
        let to = whole.ceil_char_boundary(whole.len().min(at + 2 * around));
        Self { text: &whole[from..to], start: start + from, is_cut: true }
    }

    fn snippet<'a>(&self, file: &'a str, line: u32) -> Snippet<'a, Annotation<'a>>
    where
        's: 'a,
    {
        Snippet::source(self.text).path(file).line_start(line as usize)
    }

    /// A span of the source within this text; what goes on in the next line ends with this one.
    fn within(&self, span: &Range<usize>) -> Range<usize> {
        let at = |at: usize| self.text.floor_char_boundary(at.saturating_sub(self.start).min(self.text.len()));
        let (start, end) = (at(span.start), at(span.end));
        start..end.max(start)
    }

    /// The column that the cut line would have, and the one meant; none where they are the same.
    fn columns(&self, span: &Range<usize>, meant: u32) -> Option<(u32, u32)> {
        let before = &self.text[..self.within(span).start];
        let shown = u32::try_from(before.chars().count() + 1).ok()?;
        self.is_cut.then_some((shown, meant))
    }
}
