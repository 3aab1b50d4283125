// What dashboards are checked against: Grafana's own types, with words in the place of enums, as they stand in JSON.

import type * as bars from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen.d.ts";
import type * as dashboards from "@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen.d.ts";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen.d.ts";
import type * as series from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts";
import type * as states from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen.d.ts";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen.d.ts";

type Json<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T;

/** A query for Prometheus; Grafana publishes no type for it. */
interface Target {
  refId: string;
  datasource: { type: "prometheus"; uid: "prometheus" };
  editorMode: "code";
  expr: string;
  legendFormat: string;
  format: "time_series" | "heatmap" | "table";
  instant?: boolean;
  range?: boolean;
}

interface Kinds {
  bargauge: [bars.Options, Record<string, never>];
  heatmap: [heatmap.Options, heatmap.FieldConfig];
  "state-timeline": [states.Options, states.FieldConfig];
  stat: [stat.Options, Record<string, never>];
  table: [table.Options, table.FieldConfig];
  timeseries: [series.Options, series.FieldConfig];
}

type Defaults<Kind extends keyof Kinds> = Omit<Json<dashboards.FieldConfig>, "custom"> & {
  custom: Partial<Json<Kinds[Kind][1]>>;
};

/** What every panel of this kind has to have, and may have. */
export type Panel<Kind extends keyof Kinds> = Omit<
  Json<dashboards.Panel>,
  "type" | "options" | "targets" | "fieldConfig"
> &
  Required<Pick<Json<dashboards.Panel>, "id" | "title" | "description" | "gridPos" | "datasource">> & {
    type: Kind;
    options: Json<Kinds[Kind][0]>;
    targets: Target[];
    fieldConfig: { defaults: Defaults<Kind>; overrides: [] };
  };

export type Row = Json<dashboards.RowPanel>;

export type Dashboard = Omit<Json<dashboards.Dashboard>, "panels"> & {
  panels: (Row | { [Kind in keyof Kinds]: Panel<Kind> }[keyof Kinds])[];
};
