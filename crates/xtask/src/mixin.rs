//! Makes Grafana's dashboards of `deploy/mixin/dashboards.toml`: what is the same in all of them stands here.
//!
//! The JSON model is that of Grafana 10 and later (schema version 39).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// What they are made of.
pub(crate) const SOURCE: &str = "deploy/mixin/dashboards.toml";
/// Where the dashboards lie, relative to the root of the workspace.
pub(crate) const OUT_DIR: &str = "deploy/mixin/dashboards";

/// The columns of Grafana's grid, and the heights of panels and of the titles of rows in its lines.
const COLUMNS: usize = 24;
const PANEL_LINES: usize = 8;
const TITLE_LINES: usize = 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dashboard: Vec<Dashboard>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dashboard {
    name: String,
    title: String,
    /// A metric whose jobs may be chosen.
    job: String,
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    title: String,
    panel: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    /// One of Grafana's units.
    unit: String,
    /// Each with what its lines are called.
    queries: Vec<(String, String)>,
}

/// Returns each dashboard as (path relative to `root`, content).
///
/// # Errors
/// When the source is missing or wrong.
pub(crate) fn generate(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let text = fs::read_to_string(root.join(SOURCE)).with_context(|| format!("read {SOURCE}"))?;
    let file: File = toml::from_str(&text).with_context(|| SOURCE.to_owned())?;
    let dashboards = file.dashboard.iter().map(|dashboard| {
        let path = Path::new(OUT_DIR).join(format!("{}.json", dashboard.name));
        let content = serde_json::to_string_pretty(&dashboard.to_json())?;
        Ok((path, content + "\n"))
    });
    dashboards.collect()
}

impl Dashboard {
    fn to_json(&self) -> Value {
        let mut panels = Vec::new();
        let mut line = 0;
        for row in &self.row {
            let place = json!({"x": 0, "y": line, "w": COLUMNS, "h": TITLE_LINES});
            panels.push(json!({
                "id": panels.len() + 1, "type": "row", "title": row.title, "collapsed": false, "gridPos": place, "panels": [],
            }));
            line += TITLE_LINES;
            let width = COLUMNS / row.panel.len().max(1);
            for (column, panel) in row.panel.iter().enumerate() {
                let place = json!({"x": column * width, "y": line, "w": width, "h": PANEL_LINES});
                panels.push(panel.to_json(panels.len() + 1, &place));
            }
            line += PANEL_LINES;
        }
        json!({
            "uid": format!("rutile-{}", self.name),
            "title": self.title,
            "tags": ["rutile"],
            "schemaVersion": 39,
            "editable": true,
            "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "job", "label": "Job", "type": "query", "datasource": data_source(),
                    "query": format!("label_values({}, job)", self.job), "refresh": 2,
                    "multi": true, "includeAll": true, "allValue": ".+",
                },
            ]},
            "panels": panels,
        })
    }
}

impl Panel {
    fn to_json(&self, id: usize, place: &Value) -> Value {
        let names = ('A'..='Z').map(String::from);
        let targets: Vec<Value> = names
            .zip(&self.queries)
            .map(|(name, (query, legend))| {
                json!({"refId": name, "datasource": data_source(), "expr": query, "legendFormat": legend})
            })
            .collect();
        json!({
            "id": id,
            "type": "timeseries",
            "title": self.title,
            "datasource": data_source(),
            "gridPos": place,
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit, "min": 0,
                    "custom": {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"},
                },
                "overrides": [],
            },
            "options": {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
            "targets": targets,
        })
    }
}

fn data_source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panels_of_a_row_stand_beside_each_other() {
        let text = "name = 'x'\ntitle = 'X'\njob = 'm'\n\
                    [[row]]\ntitle = 'one'\n[[row.panel]]\ntitle = 'a'\nunit = 's'\nqueries = [['m', 'l'], ['n', 'k']]\n\
                    [[row.panel]]\ntitle = 'b'\nunit = 's'\nqueries = []\n\
                    [[row]]\ntitle = 'two'\n[[row.panel]]\ntitle = 'c'\nunit = 's'\nqueries = []\n";
        let dashboard: Dashboard = toml::from_str(text).unwrap();
        let dashboard = dashboard.to_json();
        let panels = dashboard["panels"].as_array().unwrap();
        let places: Vec<_> = panels
            .iter()
            .map(|panel| {
                let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
                (panel["title"].as_str().unwrap(), at("x"), at("y"), at("w"))
            })
            .collect();
        assert_eq!(
            places,
            [
                ("one", 0, 0, 24),
                ("a", 0, 1, 12),
                ("b", 12, 1, 12),
                ("two", 0, 9, 24),
                ("c", 0, 10, 24)
            ]
        );
        assert_eq!(panels[1]["targets"][1]["refId"], "B");
        assert_eq!(panels[1]["targets"][1]["expr"], "n");
    }
}
