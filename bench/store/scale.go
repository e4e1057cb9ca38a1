package main

import "context"

func scale(ctx context.Context, s *settings) error { return nil }
