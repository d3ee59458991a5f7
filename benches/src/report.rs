//! What came out of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use comfy_table::{CellAlignment, Table};
use serde::{Deserialize, Serialize};

use crate::work::{Better, Work};
use crate::works;

/// What something is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project.
    Ours,
    /// A product that gives at least the same.
    Peer,
    /// What gives less, or nothing: a bound.
    Floor,
}

/// What one work costs, ours and others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The work's [name](Work::name).
    pub work: String,
    /// The unit of all values.
    pub unit: String,
    /// Which value is the better one.
    pub better: Better,
    /// What ours costs.
    pub ours: f64,
    /// What ours must reach.
    pub goal: Option<f64>,
    /// Products that give at least the same.
    pub peer: BTreeMap<String, f64>,
    /// What gives less, or nothing.
    pub floor: BTreeMap<String, f64>,
}

impl Row {
    /// A row of the work, without anything to compare with yet.
    pub fn new(work: &Work, ours: f64) -> Self {
        Self {
            work: work.name(),
            unit: work.unit.to_owned(),
            better: work.better,
            ours: rounded(ours),
            goal: work.goal,
            peer: BTreeMap::new(),
            floor: BTreeMap::new(),
        }
    }

    /// Adds what something else costs. Of [`Kind::Ours`] there is one value already, which stays.
    pub fn push(&mut self, name: &str, kind: Kind, value: f64) {
        let others = match kind {
            Kind::Ours => return,
            Kind::Peer => &mut self.peer,
            Kind::Floor => &mut self.floor,
        };
        others.insert(name.to_owned(), rounded(value));
    }

    /// Whether ours is at least as good as its goal; `None` where there is none.
    pub fn is_met(&self) -> Option<bool> {
        self.goal.map(|goal| match self.better {
            Better::Lower => self.ours <= goal,
            Better::Higher => self.ours >= goal,
        })
    }

    /// The peer that does the work best.
    pub fn best_peer(&self) -> Option<(&str, f64)> {
        let peers = self.peer.iter().map(|(name, value)| (name.as_str(), *value));
        match self.better {
            Better::Lower => peers.min_by(|one, other| one.1.total_cmp(&other.1)),
            Better::Higher => peers.max_by(|one, other| one.1.total_cmp(&other.1)),
        }
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.peer.get(name).or_else(|| self.floor.get(name)).copied()
    }
}

/// To the hundredth: more digits would say what no measurement knows.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The rows of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One for each work.
    pub rows: Vec<Row>,
}

impl Report {
    /// Reads what [`write`](Self::write) has written.
    ///
    /// # Errors
    /// If there is no such file, or something else in it.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Writes it as JSON, with the folder if need be.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }

    /// A table for each group of works: what ours and the others cost, and in brackets how many times ours that is.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        let mut groups: Vec<&str> = works::ALL.iter().map(|work| work.group).collect();
        groups.dedup();
        for group in groups {
            let columns: Vec<(&Work, &Row)> = works::ALL
                .iter()
                .filter(|work| work.group == group)
                .filter_map(|work| self.rows.iter().find(|row| row.work == work.name()).map(|row| (work, row)))
                .collect();
            if !columns.is_empty() {
                // A `String` takes every write.
                let _ = writeln!(text, "### {}\n\n{}\n", capitalised(group), table(&columns));
            }
        }
        text
    }

    /// A table of the works that have a goal: whether it is reached, and how the best peer does.
    pub fn goals(&self) -> String {
        let mut table = markdown(["work", "unit", "ours", "goal", "reached", "best peer", "peer / ours"]);
        for row in &self.rows {
            let (Some(goal), Some(met)) = (row.goal, row.is_met()) else { continue };
            let bound = if row.better == Better::Lower { "≤" } else { "≥" };
            let (peer, ratio) = match row.best_peer() {
                Some((name, value)) => (format!("{name} {}", number(value)), times(value, row.ours)),
                None => (String::new(), String::new()),
            };
            table.add_row([
                row.work.clone(),
                row.unit.clone(),
                number(row.ours),
                format!("{bound} {}", number(goal)),
                String::from(if met { "yes" } else { "no" }),
                peer,
                ratio,
            ]);
        }
        table.to_string()
    }
}

fn table(columns: &[(&Work, &Row)]) -> Table {
    let mut names: Vec<(&str, Kind)> = Vec::new();
    for (_, row) in columns {
        let peers = row.peer.keys().map(|name| (name.as_str(), Kind::Peer));
        for entry in peers.chain(row.floor.keys().map(|name| (name.as_str(), Kind::Floor))) {
            if !names.contains(&entry) {
                names.push(entry);
            }
        }
    }
    names.sort_by_key(|(_, kind)| *kind == Kind::Floor);

    let header = columns.iter().map(|(work, _)| match work.detail.contains(work.unit) {
        true => work.detail.to_owned(),
        false => format!("{}, {}", work.detail, work.unit),
    });
    let mut table = markdown([String::from("product")].into_iter().chain(header));
    table.add_row([String::from("**ours**")].into_iter().chain(columns.iter().map(|(_, row)| number(row.ours))));
    table.add_row(
        [String::from("goal")]
            .into_iter()
            .chain(columns.iter().map(|(_, row)| row.goal.map_or_else(String::new, number))),
    );
    for (name, kind) in names {
        let cells = columns.iter().map(|(_, row)| match row.value(name) {
            Some(value) if times(value, row.ours).is_empty() => number(value),
            Some(value) => format!("{} ({})", number(value), times(value, row.ours)),
            None => String::new(),
        });
        let name = if kind == Kind::Floor { format!("*{name}*") } else { name.to_owned() };
        table.add_row([name].into_iter().chain(cells));
    }
    for column in 1..=columns.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn markdown<T: Into<comfy_table::Cell>>(header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(header.into_iter().map(Into::into).collect::<Vec<comfy_table::Cell>>());
    table
}

/// How many times `ours` that is; empty where ours is nothing.
fn times(value: f64, ours: f64) -> String {
    match value / ours {
        _ if ours == 0.0 => String::new(),
        many if many >= 100.0 => format!("{many:.0}x"),
        few => format!("{few:.2}x"),
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 && small.fract() != 0.0 => format!("{value:.2}"),
        small if small < 100.0 && small.fract() != 0.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut record = Row::new(&works::HANDLE_1000, 25.0);
        record.push("measured", Kind::Peer, 111.0);
        record.push("prometheus", Kind::Peer, 205.0);
        record.push("dense table", Kind::Floor, 18.506);
        let mut scrape = Row::new(&works::SCRAPE_THROUGHPUT, 1_000.0);
        scrape.push("measured", Kind::Peer, 900.0);
        Report { rows: vec![record, scrape] }
    }

    #[test]
    fn the_summary_has_the_agreed_shape() {
        let summary = serde_json::to_value(report()).unwrap();
        assert_eq!(
            summary["rows"][0],
            serde_json::json!({
                "work": "record counter and histogram, tenant handle, 1000 tenants",
                "unit": "ns",
                "better": "lower",
                "ours": 25.0,
                "goal": 30.0,
                "peer": { "measured": 111.0, "prometheus": 205.0 },
                "floor": { "dense table": 18.51 },
            })
        );
        assert_eq!(summary["rows"][1]["better"], "higher");
        let without = serde_json::to_value(Row::new(&works::HOT_ALONE, 1.0)).unwrap();
        assert!(without["goal"].is_null() && without["peer"].as_object().unwrap().is_empty());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench/summary.json");
        report().write(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), report());
    }

    #[test]
    fn a_goal_is_met_from_its_own_side() {
        let met = report().rows.iter().map(Row::is_met).collect::<Vec<_>>();
        assert_eq!(met, [Some(true), Some(false)]);
        assert_eq!(Row::new(&works::HOT_ALONE, 1.0).is_met(), None);
    }

    #[test]
    fn tables_name_everybody_and_how_many_times_ours_they_cost() {
        let tables = report().tables();
        for part in
            ["### Record counter and histogram, tenant handle", "111 (4.44x)", "*dense table*", "| goal ", "0.90x"]
        {
            assert!(tables.contains(part), "{tables} lacks {part}");
        }
        let goals = report().goals();
        for part in ["≤ 30", "≥ 1200", "measured 111", "| no "] {
            assert!(goals.contains(part), "{goals} lacks {part}");
        }
    }
}
