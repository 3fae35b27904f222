//! One list of promises, run for every adapter of a port.

/// Runs each `async fn(impl Port)` of a list as a test for each adapter.
///
/// An adapter is a name, which becomes a module of tests, and an expression (it may await) that makes a fresh one for each test.
/// What must live as long as the test, such as a database, is named in brackets before it. Attributes are put on each test of
/// the adapter; one that needs a server is ignored with its reason.
///
/// ```
/// # #[derive(Default)] struct Memory;
/// # struct Postgres; impl Postgres { async fn over(_: &str) -> Self { Self } }
/// # trait Inbox {} impl Inbox for Memory {} impl Inbox for Postgres {}
/// # async fn fresh() -> String { String::new() }
/// async fn applying_twice_is_applying_once(inbox: impl Inbox) { /* … */ }
///
/// testkit::contract! {
///     [applying_twice_is_applying_once]
///     memory: Memory::default();
///     #[ignore = "needs Postgres: ./dev test"] postgres(database = fresh().await): Postgres::over(&database).await;
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! contract {
    (@adapter [$($case:ident),+ $(,)?] $attributes:tt $adapter:ident $guard:tt $make:expr) => {
        mod $adapter {
            #[allow(unused_imports, reason = "an adapter may need no name from outside")]
            use super::*;
            $($crate::contract!(@test $case $attributes $guard $make);)+
        }
    };
    (@test $case:ident [$($attribute:tt)*] [$($guard:ident = $hold:expr)?] $make:expr) => {
        $($attribute)*
        #[tokio::test]
        async fn $case() {
            $(let $guard = $hold;)?
            super::$case($make).await;
        }
    };
    ($cases:tt $($(#[$attribute:meta])* $adapter:ident $(($guard:ident = $hold:expr))? : $make:expr;)+) => {
        $($crate::contract!(@adapter $cases [$(#[$attribute])*] $adapter [$($guard = $hold)?] $make);)+
    };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    trait Shelf: Send {
        fn put(&mut self, item: u32);
        fn count(&self) -> usize;
    }

    #[derive(Default)]
    struct Plain(Vec<u32>);

    impl Shelf for Plain {
        fn put(&mut self, item: u32) {
            self.0.push(item);
        }

        fn count(&self) -> usize {
            self.0.len()
        }
    }

    /// Usable only while its house stands.
    struct Housed<'a>(Plain, &'a AtomicBool);

    impl Shelf for Housed<'_> {
        fn put(&mut self, item: u32) {
            assert!(self.1.load(Ordering::SeqCst));
            self.0.put(item);
        }

        fn count(&self) -> usize {
            assert!(self.1.load(Ordering::SeqCst));
            self.0.count()
        }
    }

    async fn a_new_one_is_empty(shelf: impl Shelf) {
        assert_eq!(shelf.count(), 0);
    }

    async fn what_is_put_is_there(mut shelf: impl Shelf) {
        shelf.put(7);
        tokio::task::yield_now().await;
        assert_eq!(shelf.count(), 1);
    }

    async fn full() -> Plain {
        Plain(vec![1])
    }

    crate::contract! {
        [a_new_one_is_empty, what_is_put_is_there]
        plain: Plain::default();
        housed(house = AtomicBool::new(true)): Housed(Plain::default(), &house);
    }

    mod broken {
        use super::*;

        crate::contract! {
            [a_new_one_is_empty]
            #[should_panic(expected = "left: 1")] full: full().await;
        }
    }
}
