//! A real engine that goes away.
#![cfg(test)]

mod away;
