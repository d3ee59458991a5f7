//! Programs that must not compile, each with the message that its author reads: `compile_fail/*.stderr`.
//!
//! After a change of the compiler or of a message, `TRYBUILD=overwrite cargo test -p monitoring-core --test compile_fail`
//! writes the messages anew; read them before they are committed.

#[test]
fn mistakes_with_labels_tenants_and_measures_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
