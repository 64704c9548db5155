//! The plots.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{coord::Shift, prelude::*};

use super::{Run, time};
use crate::contenders::{ALL, Contender, Kind};

const FLOOR: RGBColor = RGBColor(140, 140, 140);
const OURS: RGBColor = RGBColor(0, 110, 190);
const PEER: RGBColor = RGBColor(214, 126, 44);
const BACK: RGBColor = RGBColor(255, 255, 255);

/// Draws all of them into a folder.
pub fn draw(run: &Run, folder: &Path) -> Result<()> {
    let check = |one: &Contender| run.check(one.key, "M", "plain");
    bars("A check at M (nanoseconds, logarithmic; shorter is better)", &folder.join("check.svg"), check)?;
    let role = |one: &Contender| run.row(one.key, "M", "plain")?.grant_ns;
    let title = "One change of a role at M until it is seen (nanoseconds, logarithmic; shorter is better)";
    bars(title, &folder.join("role-change.svg"), role)?;
    growth(run, &folder.join("growth.svg"))
}

fn name(one: &Contender) -> String {
    one.label.replace('*', "")
}

fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Floor => FLOOR,
        Kind::Ours => OURS,
        Kind::Peer => PEER,
    }
}

fn bars(title: &str, path: &Path, value: impl Fn(&Contender) -> Option<f64>) -> Result<()> {
    let mut shown: Vec<(&Contender, f64)> = ALL.iter().filter_map(|one| Some((one, value(one)?))).collect();
    shown.sort_by(|one, other| other.1.total_cmp(&one.1));
    if shown.is_empty() {
        return Ok(());
    }
    let most = shown.iter().map(|(_, ns)| *ns).fold(1.0, f64::max) * 8.0;
    let least = shown.iter().map(|(_, ns)| *ns).fold(f64::MAX, f64::min) / 2.0;
    let height = 80 + 26 * shown.len() as u32;
    let area = SVGBackend::new(path, (900, height)).into_drawing_area();
    area.fill(&BACK).map_err(drawing)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(24)
        .y_label_area_size(210)
        .build_cartesian_2d((least..most).log_scale(), 0.0..shown.len() as f64)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .x_label_formatter(&|ns| time(*ns))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(drawing)?;
    for (at, (one, ns)) in shown.iter().enumerate() {
        let (low, high) = (at as f64 + 0.15, at as f64 + 0.85);
        let bar = Rectangle::new([(least, low), (*ns, high)], colour(one.kind).filled());
        chart.draw_series([bar]).map_err(drawing)?;
        let label = Text::new(time(*ns), (*ns * 1.1, at as f64 + 0.68), ("sans-serif", 13));
        chart.draw_series([label]).map_err(drawing)?;
        let (_, y) = chart.backend_coord(&(least, at as f64 + 0.68));
        write(&area, &name(one), (12, y))?;
    }
    area.present().map_err(drawing)
}

fn write(area: &DrawingArea<SVGBackend<'_>, Shift>, text: &str, at: (i32, i32)) -> Result<()> {
    area.draw(&Text::new(text.to_owned(), at, ("sans-serif", 13))).map_err(drawing)
}

/// How a check grows with the workload.
fn growth(run: &Run, path: &Path) -> Result<()> {
    let users = [("S", 100.0), ("M", 10_000.0), ("L", 1_000_000.0)];
    let area = SVGBackend::new(path, (900, 560)).into_drawing_area();
    area.fill(&BACK).map_err(drawing)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("A check from S to L (logarithmic; flat and low is better)", ("sans-serif", 16))
        .margin(10)
        .margin_right(200)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d((70.0..1_400_000.0).log_scale(), (1.0..1e9).log_scale())
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .x_desc("users")
        .x_label_formatter(&|users| format!("{users:.0}"))
        .y_label_formatter(&|ns| time(*ns))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(drawing)?;
    let mut labels: Vec<(i32, i32, String)> = Vec::new();
    for one in ALL {
        let points: Vec<(f64, f64)> =
            users.iter().filter_map(|(size, users)| Some((*users, run.check(one.key, size, "plain")?))).collect();
        let Some(last) = points.last().copied() else { continue };
        let style = colour(one.kind).stroke_width(if one.kind == Kind::Ours { 3 } else { 1 });
        chart.draw_series(LineSeries::new(points.iter().copied(), style)).map_err(drawing)?;
        let dots = points.iter().map(|point| Circle::new(*point, 3, colour(one.kind).filled()));
        chart.draw_series(dots).map_err(drawing)?;
        let (x, y) = chart.backend_coord(&last);
        labels.push((x + 8, y - 6, name(one)));
    }
    // Labels that would cover each other move down.
    labels.sort_by_key(|(x, y, _)| (*x, *y));
    let mut before: Option<(i32, i32)> = None;
    for (x, y, label) in labels {
        let y = before.filter(|(column, _)| *column == x).map_or(y, |(_, row)| y.max(row + 13));
        before = Some((x, y));
        write(&area, &label, (x, y))?;
    }
    area.present().map_err(drawing)
}

fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}
