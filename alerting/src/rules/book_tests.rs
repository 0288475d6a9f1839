//! What the book promises: every version stays, nobody overwrites what they have not seen.

use telemetry::{RuleId, Timestamp};

use super::{Author, BookError, RuleBook, RuleOrigin, parse};

fn author(by: &str) -> Author {
    Author {
        by: by.to_owned(),
        reason: "because".to_owned(),
        source: RuleOrigin::Api,
        at: Timestamp::from_secs(1),
    }
}

fn rule(id: &str, above: u8) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nname_en = \"R\"\nname_zh = \"R\"\nkind = \"score\"\nabove = {above}\n"
    )
}

async fn book() -> (tempfile::TempDir, RuleBook) {
    let folder = tempfile::tempdir().unwrap();
    let cases = crate::testing::desk(&folder.path().join("cases.db")).await;
    (folder, RuleBook::of(&cases))
}

fn id(text: &str) -> RuleId {
    RuleId::new(text).unwrap()
}

#[tokio::test]
async fn every_version_stays_with_who_made_it_and_can_be_had_back() {
    let (_folder, book) = book().await;
    let both = format!("{}\n{}", rule("a", 1), rule("b", 1));
    let first = book.replace(&both, &author("li"), Some(0)).await.unwrap();
    assert_eq!((first.version, first.journal.len()), (1, 2));
    let second = book
        .put(&id("a"), Some(&rule("a", 2)), &author("wang"))
        .await
        .unwrap();
    assert_eq!((second.version, second.journal[0].version), (2, 2));
    let third = book
        .replace(&rule("a", 2), &author("li"), None)
        .await
        .unwrap();
    assert_eq!(third.changes.removed, [id("b")]);
    let same = book
        .replace(&rule("a", 2), &author("li"), None)
        .await
        .unwrap();
    assert_eq!(
        (same.version, same.journal.len()),
        (3, 0),
        "nothing changed"
    );

    let texts: Vec<_> = (1..=3).collect();
    let mut were = Vec::new();
    for version in texts {
        were.push(book.text(version).await.unwrap());
    }
    assert_eq!(
        were,
        [
            both.clone(),
            format!("{}\n{}", rule("a", 2), rule("b", 1)),
            rule("a", 2)
        ]
    );
    let back = book.replace(&were[0], &author("li"), None).await.unwrap();
    assert_eq!(
        (back.changes.added, back.changes.changed),
        (vec![id("b")], vec![id("a")])
    );

    let history = book.history(&id("b")).await.unwrap();
    let versions: Vec<_> = history
        .iter()
        .map(|one| (one.version, one.text.is_some()))
        .collect();
    assert_eq!(versions, [(3, true), (2, false), (1, true)]);
    let sets = book.versions(u32::MAX, 10).await.unwrap();
    let by: Vec<_> = sets
        .iter()
        .map(|one| (one.version, one.author.by.as_str()))
        .collect();
    assert_eq!(by, [(4, "li"), (3, "li"), (2, "wang"), (1, "li")]);
    assert_eq!(sets[0].changes.added, [id("b")], "{:?}", sets[0].changes);
    assert_eq!(sets[1].changes.removed, [id("b")]);
    assert_eq!(sets[2].changes.changed, [id("a")]);
}

#[tokio::test]
async fn nobody_overwrites_a_version_they_have_not_seen_and_nothing_wrong_is_kept() {
    let (_folder, book) = book().await;
    book.replace(&rule("a", 1), &author("li"), None)
        .await
        .unwrap();
    let moved = book.replace(&rule("a", 2), &author("wang"), Some(0)).await;
    assert!(matches!(
        moved,
        Err(BookError::Moved {
            expected: 0,
            in_force: 1
        })
    ));
    let wrong = book
        .put(&id("a"), Some("[[rule]]\nid = 1"), &author("wang"))
        .await;
    assert!(matches!(wrong, Err(BookError::Text(_))));
    let other = book
        .put(&id("b"), Some(&rule("a", 3)), &author("wang"))
        .await;
    assert!(matches!(other, Err(BookError::Text(_))));
    let nobody = book.put(&id("a"), Some(&rule("a", 3)), &author(" ")).await;
    assert!(matches!(nobody, Err(BookError::Store(_))));
    assert_eq!(
        (book.version().await.unwrap(), book.text(9).await.unwrap()),
        (1, rule("a", 1))
    );
}

#[tokio::test]
async fn a_file_that_did_not_change_does_not_take_back_what_was_edited_elsewhere() {
    let (_folder, book) = book().await;
    let file = author("configuration");
    let of = |texts: &[String]| parse(&texts.join("\n")).unwrap();
    let both = of(&[rule("a", 1), rule("b", 1)]);
    assert_eq!(book.take_files(&both, &file).await.unwrap().version, 1);
    book.put(&id("a"), Some(&rule("a", 5)), &author("li"))
        .await
        .unwrap();
    // The same files again, as at each start.
    assert_eq!(book.take_files(&both, &file).await.unwrap().version, 2);
    assert!(book.text(9).await.unwrap().contains("above = 5"));
    // The file says something new about one rule and no longer names the other.
    let changed = book.take_files(&of(&[rule("a", 2)]), &file).await.unwrap();
    assert_eq!(
        (changed.changes.changed, changed.changes.removed),
        (vec![id("a")], vec![id("b")])
    );
    assert_eq!(book.text(9).await.unwrap(), rule("a", 2));
}
