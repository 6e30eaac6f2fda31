"""What the journals show: each member's track, the clocks, the reigns, the incidents."""
