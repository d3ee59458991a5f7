//! A text that was made when the program runs is no name.

use monitoring_core::job;

async fn export(format: String) {
    job::job(&format).run(async {}).await;
}

fn main() {}
