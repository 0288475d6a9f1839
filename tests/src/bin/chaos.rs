//! `tests/chaos`: one attack on the real program, with the seed on the command line.

use std::{fmt::Write as _, process::ExitCode};

use tests::chaos::{Attack, Outcome, Plan};

fn usage() -> String {
    let mut text = String::from(
        "usage: tests/chaos ATTACK… [--seed N] [--long]\n\n\
         Does to the real program what a plant does to it, and compares the books.\n\n",
    );
    for attack in Attack::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<8} {}", attack.name(), attack.about());
    }
    text += "  all      each of them, one after the other\n\n\
             --seed N  where chance comes from; a fresh one is printed otherwise\n\
             --long    the version that takes minutes\n\
             BELLWETHER_BIN names the program; otherwise it is built in this profile.\n";
    text
}

struct Asked {
    attacks: Vec<Attack>,
    plan: Plan,
}

fn parse(words: Vec<String>) -> Result<Asked, String> {
    let (mut attacks, mut seed, mut long) = (Vec::new(), None, false);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--long" => long = true,
            "--seed" => {
                let given = words.next().ok_or("--seed needs a number")?;
                seed = Some(given.parse().map_err(|error| format!("{given}: {error}"))?);
            }
            "all" => attacks.extend(Attack::ALL),
            name => attacks.push(name.parse().map_err(|known| format!("{name}: {known}"))?),
        }
    }
    if attacks.is_empty() {
        return Err("name an attack".to_owned());
    }
    let seed = seed.unwrap_or_else(rand::random);
    Ok(Asked {
        attacks,
        plan: Plan { seed, long },
    })
}

fn main() -> ExitCode {
    let asked = match parse(std::env::args().skip(1).collect()) {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!("{problem}\n\n{}", usage());
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut verdict = ExitCode::SUCCESS;
    for attack in asked.attacks {
        match runtime.block_on(attack.run(asked.plan)) {
            Ok(Outcome::Kept(books)) => println!("{}: kept. {books}", attack.name()),
            Ok(Outcome::PassedOver(why)) => println!("{}: passed over: {why}", attack.name()),
            Err(error) => {
                println!("{}: BROKEN. {error:#}", attack.name());
                verdict = ExitCode::FAILURE;
            }
        }
    }
    verdict
}
