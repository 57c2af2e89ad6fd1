#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_fuzz::run("http_head", bytes));
