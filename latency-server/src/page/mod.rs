//! The pages: plain forms, answered by the server, so that they work without scripts and their addresses can be shared.

mod files;
mod form;
mod map;
mod predict;
mod regions;
mod status;
mod words;

use rocket::fairing::AdHoc;
use rocket::routes;
use rocket_dyn_templates::Template;

use crate::{admin, openapi};

/// Attaches the routes and the templates, which are part of the program.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("page", |rocket| async {
        // Rocket insists on a template folder, and in debug builds watches all of it. The program's own file stands in
        // for one: wherever the program runs, it is there, and there is nothing in it.
        let folder = std::env::current_exe().unwrap_or_else(|_| "/".into());
        let figment = rocket.figment().clone().merge(("template_dir", folder));
        rocket
            .configure(figment)
            .manage(form::Suggestions::new())
            .attach(status::clock())
            .attach(Template::try_custom(|engines| {
                engines.tera.add_raw_templates([
                    ("base.html", include_str!("../../templates/base.html")),
                    ("form.html", include_str!("../../templates/form.html")),
                    (predict::TEMPLATE, include_str!("../../templates/page.html")),
                    ("ranking.html", include_str!("../../templates/ranking.html")),
                    (regions::TEMPLATE, include_str!("../../templates/regions.html")),
                    (status::TEMPLATE, include_str!("../../templates/status.html")),
                    (admin::TEMPLATE, include_str!("../../templates/admin.html")),
                    (openapi::TEMPLATE, include_str!("../../templates/docs.html")),
                ])?;
                Ok(())
            }))
            .mount("/", routes![predict::page, regions::page, status::page])
            .mount("/static", files::routes())
    })
}
